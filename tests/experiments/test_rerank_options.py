"""Smaller ranks of runs with LoRA's other options: what they hold stays, or is refused."""

import numpy as np
import pytest
import torch
from pipelines.bundles import SENTENCES, TEXTS, classifier, saved, tagger, write_base

from lowkey.data.labelled import LabelledExamples
from lowkey.errors import ConfigError
from lowkey.experiments.rerank import rerank
from lowkey.experiments.spectrum import spectrum
from lowkey.files import read_json, read_tensors
from lowkey.hf.bert import load_classifier
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import adapters, inject
from lowkey.pipelines.load import load


@pytest.fixture
def base(tmp_path):
    return write_base(tmp_path / "base")


def adapted(base, **options):
    """A classifier adapted with other options, as a training leaves it."""
    ours = classifier(base, "head")
    model = load_classifier(base, 3)
    config = LoRAConfig(**options)
    inject(model, config)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and "magnitude" not in name:
                parameter.normal_(std=0.3, generator=generator)
            elif parameter.requires_grad:
                parameter.mul_(1.5)
    facts = ours.facts.model_copy(update={"method": "lora"})
    return type(ours)(model.eval(), ours.tokenizer, facts, lora_config=config)


def logits(pipeline):
    return pipeline.logits(LabelledExamples.from_texts(TEXTS, None, pipeline.tokenizer))


@pytest.mark.parametrize("rslora", [False, True])
def test_ranks_and_scales_of_single_maps_and_trained_biases_stay(base, tmp_path, rslora):
    ours = adapted(
        base,
        r=4,
        lora_alpha=6,
        use_rslora=rslora,
        rank_pattern={"query": 1, "value": 3},
        alpha_pattern={"query": 5, "blocks.1.feed_forward.up": 2},
        bias="all",
    )
    run = saved(ours, tmp_path / "run")
    assert rerank(run, rank=4, out=tmp_path / "same")["old_rank"] == 4
    np.testing.assert_allclose(logits(load(tmp_path / "same")), logits(ours), atol=1e-5)
    rerank(run, rank=2, out=tmp_path / "less")
    less = load(tmp_path / "less")
    before = adapters(ours.model)
    for name, module in adapters(less.model).items():
        assert module.rank == (1 if name.endswith("query") else 2)
        assert module.scaling == pytest.approx(before[name].scaling)
        best = torch.linalg.svd(before[name].delta_weight().detach().double())
        expected = (best.U[:, :2] * best.S[:2]) @ best.Vh[:2]
        if not name.endswith("query"):
            torch.testing.assert_close(
                module.delta_weight().double(), expected, atol=1e-5, rtol=1e-5
            )
    written = read_json(tmp_path / "less" / "adapter_config.json")
    assert (written["r"], written["bias"], written["rank_pattern"]) == (2, "all", {"query": 1})
    old, new = (read_tensors(f / "adapter_model.safetensors") for f in (run, tmp_path / "less"))
    biases = [name for name in old if name.endswith("bias")]
    assert len(biases) > 12
    assert all(torch.equal(old[name], new[name]) for name in biases)


def test_lengths_of_rows_have_no_rank_but_a_spectrum(base, tmp_path):
    ours = adapted(base, r=2, use_dora=True)
    run = saved(ours, tmp_path / "run")
    with pytest.raises(ConfigError, match="trained with use_dora"):
        rerank(run, rank=1)
    found = {one["name"]: one for one in spectrum(run)["modules"]}
    for name, module in adapters(ours.model).items():
        # By the paper: W' = m V / |V|, with V = W + s B A.
        directions = module.weight.double() + module.delta_weight().double()
        lengths = module.lora_magnitude_vector.double() / directions.norm(dim=1)
        change = lengths[:, None] * directions - module.weight.double()
        values = torch.linalg.svdvals(change.detach())
        assert found[name]["singular_values"] == pytest.approx(values.tolist(), rel=1e-4, abs=1e-6)
        assert found[name]["rank"] > 2


def test_a_tagger_is_reranked_like_a_classifier(base, tmp_path):
    ours = tagger(base, "lora")
    run = saved(ours, tmp_path / "run")
    for rank, low, high in ((2, 0, 1e-5), (1, 1e-2, 10)):
        rerank(run, rank=rank, out=tmp_path / f"rank-{rank}")
        again = load(tmp_path / f"rank-{rank}")
        difference = again.logits(again.examples_of(SENTENCES)) - ours.logits(
            ours.examples_of(SENTENCES)
        )
        assert low <= np.abs(difference).max() <= high
