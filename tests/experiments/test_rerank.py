"""Smaller ranks of whole runs: as near as can be, readable as before, and scored truly."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_marian
import tiny_tasks
import torch
from experiments.tasks import finetuning
from pipelines.bundles import TEXTS, classifier, saved, translator, write_base

from lowkey.data.config import DataConfig
from lowkey.data.labelled import LabelledExamples
from lowkey.data.sources import read_rows
from lowkey.errors import ConfigError
from lowkey.experiments.evaluation import evaluate
from lowkey.experiments.finetune import finetune
from lowkey.experiments.rerank import rerank
from lowkey.files import read_json
from lowkey.hf.adapter_families import MARIAN
from lowkey.hf.model_folder import base_identity
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import adapters, inject
from lowkey.pipelines.calibration import calibrated
from lowkey.pipelines.load import load
from lowkey.pipelines.published import published_facts
from lowkey.pipelines.translator import Translator
from lowkey.pipelines.translator_files import Adaptation, TranslatorParts


@pytest.fixture
def base(tmp_path):
    return write_base(tmp_path / "base")


def logits(pipeline):
    return pipeline.logits(LabelledExamples.from_texts(TEXTS, None, pipeline.tokenizer))


def deltas(pipeline):
    return {n: m.delta_weight().detach().double() for n, m in adapters(pipeline.model).items()}


def test_the_full_rank_computes_the_same_and_a_smaller_one_does_not(base, tmp_path):
    ours = classifier(base, "lora")
    run = saved(ours, tmp_path / "run")
    for rank, low, high in ((2, 0, 1e-5), (1, 1e-2, 10)):
        found = rerank(run, rank=rank)
        assert found["out"] == f"{run}-rank-{rank}"
        difference = np.abs(logits(load(found["out"])) - logits(ours)).max()
        assert low <= difference <= high
    assert found["not_scored"] == f"{run} lies in no run, so that its data is not known"


def test_each_update_is_the_best_of_its_rank_and_the_factor_in_front_stays(base, tmp_path):
    ours = classifier(base, "lora")
    run, out = saved(ours, tmp_path / "run"), tmp_path / "out"
    rerank(run, rank=1, out=out)
    written = read_json(out / "adapter_config.json")
    assert (written["r"], written["lora_alpha"]) == (1, 3)  # was 2 and 6
    for name, delta in deltas(load(out)).items():
        left, values, right = np.linalg.svd(deltas(ours)[name].numpy())
        np.testing.assert_allclose(
            delta, values[0] * np.outer(left[:, 0], right[0]), atol=1e-5, rtol=1e-5
        )


def test_the_root_of_rslora_is_minded(base, tmp_path):
    ours = classifier(base, "lora")
    ours.lora_config = LoRAConfig(r=2, lora_alpha=6, use_rslora=True)
    for module in adapters(ours.model).values():
        module.scaling = ours.lora_config.scaling
    run = saved(ours, tmp_path / "run")
    rerank(run, rank=2, out=tmp_path / "same")
    np.testing.assert_allclose(logits(load(tmp_path / "same")), logits(ours), atol=1e-5)
    same = read_json(tmp_path / "same" / "adapter_config.json")
    assert same["lora_alpha"] == pytest.approx(6)
    rerank(run, rank=1, out=tmp_path / "out")
    written = read_json(tmp_path / "out" / "adapter_config.json")
    assert written["lora_alpha"] == pytest.approx(6 / 2**0.5)
    assert written["use_rslora"] is True


def test_a_share_takes_the_smallest_rank_that_keeps_it_everywhere(base, tmp_path):
    run = saved(classifier(base, "lora"), tmp_path / "run")
    least = rerank(run, rank=1, out=tmp_path / "one")["least"]
    assert 0.5 < least < 1
    below = rerank(run, keep=least - 1e-6, out=tmp_path / "below")
    above = rerank(run, keep=least + 1e-6, out=tmp_path / "above")
    assert (below["rank"], above["rank"]) == (1, 2)
    assert above["least"] == pytest.approx(1)


def test_scores_are_those_that_evaluate_finds(folder):
    finetune(finetuning("train.max_steps=20", "data.test=data/train.jsonl"), Path("run"))
    found = rerank(Path("run"), rank=1)
    assert found["out"] == "run/best-rank-1"
    for split, data in (("validation", "data/dev.jsonl"), ("test", "data/train.jsonl")):
        for when, model in (("before", "run"), ("after", "run/best-rank-1")):
            theirs = evaluate(Path(model), data)["metrics"]
            ours = {name: score[when] for name, score in found["scores"][split].items()}
            assert ours == theirs
    before, after = (read_json(Path(f"run/{n}/lowkey.json")) for n in ("best", "best-rank-1"))
    tested = {name: score["after"] for name, score in found["scores"]["test"].items()}
    assert after["metrics"] == tested
    assert len(after["samples"]) == 20
    saved_numbers = 7 * sum(
        sum(m.lora_A.weight.shape[1:]) + m.lora_B.weight.shape[0]
        for m in adapters(load("run").model).values()
    )
    for name in ("parameters", "trainable_parameters", "trainable_parameters_without_head"):
        assert before["counts"][name] - after["counts"][name] == saved_numbers
    assert after["counts"]["disk_bytes"] < before["counts"]["disk_bytes"]
    assert after["counts"]["steps"] == before["counts"]["steps"]


def test_rows_held_out_in_training_are_found_again(folder):
    finetune(finetuning("data.validation=null"), Path("run"))
    (split,) = rerank(Path("run"), rank=8)["scores"].items()
    said = read_json(Path("run/best/lowkey.json"))["metrics"]
    assert split[0] == "validation"
    assert {name: score["before"] for name, score in split[1].items()} == said


def test_what_was_fitted_to_the_old_weights_is_fitted_anew(folder):
    settings = ("calibrate=true", "train.max_steps=8", "train.learning_rate=0.01")
    finetune(finetuning(*settings), Path("run"))
    rerank(Path("run"), rank=1)
    old, new = (read_json(Path(f"run/{n}/lowkey.json")) for n in ("best", "best-rank-1"))
    changed = load("run/best-rank-1", device="cpu")
    examples = changed.examples(
        read_rows("data/dev.jsonl", DataConfig(), ("text", "label"), key="x")
    )
    fitted = calibrated(changed.facts, changed.logits(examples), examples.labels)
    assert new["calibration"] == fitted.model_dump(mode="json") != old["calibration"]


def test_a_finder_of_answers_gets_a_new_threshold_and_true_scores(folder):
    for name, seed in (("train", 1), ("dev", 2), ("test", 3)):
        rows = tiny_tasks.asked_rows(48, seed, impossible=0.4)
        tiny_tasks.write_jsonl(folder / "data" / f"{name}.jsonl", rows)
    settings = ("task=answer", "data.test=data/test.jsonl", "train.learning_rate=0.01")
    finetune(finetuning(*settings, "train.max_steps=30"), Path("run"))
    found = rerank(Path("run"), rank=1)
    changed = load("run/best-rank-1", device="cpu")
    columns = ("question", "context", "answers.text", "answers.answer_start")
    rows = read_rows("data/dev.jsonl", DataConfig(), columns, key="x")
    told, examples = changed.facts.null_threshold, changed.examples(rows)
    assert told != load("run", device="cpu").facts.null_threshold
    changed.fit_threshold(examples, changed.find(examples))
    assert changed.facts.null_threshold == told
    for split in ("dev", "test"):
        theirs = evaluate(Path("run/best-rank-1"), f"data/{split}.jsonl")["metrics"]
        scores = found["scores"]["validation" if split == "dev" else split]
        assert {name: score["after"] for name, score in scores.items()} == theirs


def test_data_that_is_gone_is_told_and_no_old_score_is_kept(folder):
    finetune(finetuning("calibrate=true"), Path("run"))
    (folder / "data" / "dev.jsonl").rename(folder / "elsewhere.jsonl")
    found = rerank(Path("run"), rank=1)
    assert found["scores"] == {}
    assert found["not_scored"].startswith("data.validation: no such file data/dev.jsonl")
    assert read_json(Path("run/best-rank-1/lowkey.json"))["metrics"] == {}
    assert read_json(Path("run/best-rank-1/lowkey.json"))["calibration"] is None
    assert rerank(Path("run"), rank=2, score=False)["not_scored"] is None


def test_a_translator_is_given_a_smaller_rank_too(tmp_path):
    tiny_marian.write_published(tmp_path / "published")
    parts = TranslatorParts.open(tmp_path / "published")
    config = LoRAConfig(r=3, target_modules="qv", modules_to_save=[])
    inject(parts.model, config)
    generator = torch.Generator().manual_seed(1)
    for module in adapters(parts.model).values():
        torch.nn.init.normal_(module.lora_B.weight, generator=generator)
    facts = published_facts(tmp_path / "published").model_copy(
        update={
            "method": "lora",
            "base_model": str(tmp_path / "published"),
            "base_sha256": base_identity(tmp_path / "published")["sha256"],
        }
    )
    tokenizers = parts.source_tokenizer, parts.target_tokenizer
    ours = Translator(parts.model.eval(), *tokenizers, facts, "cpu", Adaptation(config, MARIAN))
    run = saved(ours, tmp_path / "run")
    rerank(run, rank=3, out=tmp_path / "same")
    for name, delta in deltas(load(tmp_path / "same")).items():
        torch.testing.assert_close(delta, deltas(ours)[name], atol=1e-5, rtol=1e-5)
    rerank(run, rank=1, out=tmp_path / "one")
    for delta in deltas(load(tmp_path / "one")).values():
        first, second, *_ = torch.linalg.svdvals(delta).tolist()
        assert second < 1e-5 < first


def test_what_cannot_be_done_is_refused_and_nothing_is_written(base, tmp_path):
    run = saved(classifier(base, "lora"), tmp_path / "run")
    full = saved(classifier(base, "full"), tmp_path / "full")
    scratch = saved(translator(), tmp_path / "scratch")
    before = sorted(tmp_path.rglob("*"))
    for path, wish, said in (
        (run, {}, r"give --rank or --keep — lowkey spectrum RUN"),
        (run, {"rank": 1, "keep": 0.5}, "give --rank or --keep, not both"),
        (run, {"rank": 3}, "--rank: the updates have rank 2, and 3 is more than there is"),
        (run, {"rank": 0}, "--rank: 0 is no rank"),
        *((run, {"keep": x}, f"--keep: {x} is no share") for x in (0.0, -1.0, 1.5, float("nan"))),
        (full, {"rank": 1}, "of the method full and has no adapter — lowkey extract .*base .*full"),
        (scratch, {"rank": 1}, "of the method scratch and has no adapter$"),
        (run, {"rank": 1, "out": full}, "--out: .*full is not empty"),
        (run, {"rank": 1, "out": run}, "--out: .*run is not empty"),
    ):
        with pytest.raises(ConfigError, match=said):
            rerank(path, **wish)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_place_that_is_taken_is_kept(base, tmp_path):
    run = saved(classifier(base, "lora"), tmp_path / "run")
    out = Path(rerank(run, rank=1)["out"])
    content = (out / "adapter_model.safetensors").read_bytes()
    with pytest.raises(ConfigError, match="run-rank-1 is not empty"):
        rerank(run, keep=0.01)
    assert (out / "adapter_model.safetensors").read_bytes() == content
    json.loads((out / "lowkey.json").read_text())
