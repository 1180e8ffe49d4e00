"""Whole runs of the adaptation to raw text, and what is made of their models."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import tiny_tasks
import torch
from experiments.tasks import exact_files, finetuning, record_batches, record_learners, stop_at

from lowkey.errors import ConfigError, DataError, StoppedError
from lowkey.experiments.evaluation import compare, evaluate
from lowkey.experiments.export import export
from lowkey.experiments.extract import extract
from lowkey.experiments.finetune import finetune
from lowkey.experiments.mask_learner import MaskLearner
from lowkey.experiments.rerank import rerank
from lowkey.experiments.spectrum import spectrum
from lowkey.hf.masked import load_masked, save_masked
from lowkey.pipelines.load import load

RUN = Path("run")
ROOM = SimpleNamespace(Learner=MaskLearner)
# A language of a few words, each of which says what the next one is.
CHAIN = ["the", "film", "was", "very", "good", "and", "dull", "but", "great"]


def texts(count, seed):
    starts = np.random.default_rng(seed).integers(len(CHAIN), size=count)
    return [" ".join(CHAIN[(s + i) % len(CHAIN)] for i in range(7)) for s in starts.tolist()]


@pytest.fixture
def raw(folder):
    """The folder of the tiny tasks, with raw texts and a BERT that has a head for masks."""
    for name, seed in (("train", 1), ("dev", 2)):
        (folder / "data" / f"{name}.txt").write_text("\n".join(texts(200, seed)))
    model = load_masked(folder / "bert", generator=torch.Generator().manual_seed(0))
    save_masked(model, folder / "bert")
    return folder


def adapting(*settings):
    data = ("data.train=data/train.txt", "data.validation=data/dev.txt")
    return finetuning("task=mlm", *data, *settings)


def test_a_language_is_learned(raw):
    settings = ["method=full", "train.learning_rate=0.003", "train.max_steps=120"]
    facts = finetune(adapting(*settings, "mlm.mlm_probability=0.3"), RUN)
    assert (facts.kind, facts.task, facts.labels) == ("fill-mask", "mlm", [])
    assert facts.metrics["accuracy"]["value"] > 0.8
    nll = facts.metrics["nll"]
    assert nll["low"] <= nll["value"] <= nll["high"] < 1.0
    assert facts.metrics["perplexity"]["value"] == pytest.approx(math.exp(nll["value"]))
    answer = load(RUN, device="cpu").predict(["the film [MASK] very good"])[0]
    assert answer["text"] == "the film was very good"
    # What is said of a run is what evaluate and compare say of its model.
    assert evaluate(RUN, "data/dev.txt", device="cpu")["metrics"] == facts.metrics
    both = compare([RUN, RUN], "data/dev.txt", device="cpu")
    assert both["differences"][0]["metrics"]["nll"]["value"] == 0
    # All weights have moved; the head has no place in an adapter.
    assert all(module["of_weight"] > 0 for module in spectrum(RUN)["modules"])
    with pytest.raises(ConfigError, match="run is a masked-language model, whose head an adapter"):
        extract("bert", RUN, rank=2, out=Path("adapter"))


def test_updates_adapt_a_model_and_the_result_is_a_base(raw):
    from transformers import BertForMaskedLM

    # Before: likelihoods of a model that has learned nothing, by its whole bundle.
    rate = "train.learning_rate=1e-9"
    before = finetune(adapting("method=full", "train.max_steps=1", rate), Path("before"))
    settings = ["train.learning_rate=0.02", "train.max_steps=40", "train.eval_steps=40"]
    facts = finetune(adapting(*settings, "mlm.mlm_probability=0.3"), RUN)
    assert facts.metrics["nll"]["high"] < before.metrics["nll"]["low"] - 0.3
    smaller = rerank(RUN, rank=4, out=Path("smaller"))
    assert (
        smaller["scores"]["validation"]["nll"]["before"]["value"] == facts.metrics["nll"]["value"]
    )
    # The head is frozen: of what is trained, all stands outside of it.
    counts = load("smaller", device="cpu").facts.counts
    assert counts["trainable_parameters_without_head"] == counts["trainable_parameters"] > 0
    # transformers opens the whole model, and lowkey tunes it on.
    export(RUN, format="merged", out=Path("adapted"))
    theirs = BertForMaskedLM.from_pretrained("adapted").eval()
    ours = load(RUN, device="cpu")
    batch = ours.examples_of(["the film was very good"]).batch([0], None)
    with torch.no_grad():
        expected = theirs(input_ids=batch.input_ids[None]).logits[0, batch.rows]
    found = ours.logits(ours.examples_of(["the film was very good"]))
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)
    again = finetune(finetuning("model.path=adapted", "train.max_steps=1"), Path("tuned"))
    assert again.base_model == str(raw / "adapted")


def test_texts_without_order_are_not_learned(raw):
    """The negative control: the same words in any order."""
    draw = np.random.default_rng(0)
    for name in ("train", "dev"):
        path = raw / "data" / f"{name}.txt"
        lines = [draw.permutation(line.split()) for line in path.read_text().splitlines()]
        path.write_text("\n".join(" ".join(words) for words in lines))
    settings = ["train.learning_rate=0.003", "method=full", "train.max_steps=60"]
    assert finetune(adapting(*settings), RUN).metrics["accuracy"]["value"] < 0.5


def test_the_loss_is_that_of_transformers_over_the_masked_tokens(raw, monkeypatch):
    from transformers import BertForMaskedLM

    learners = record_learners(monkeypatch, ROOM)
    finetune(adapting("method=full", "train.max_steps=1"), RUN)
    (learner,) = learners
    learner.model.eval()
    learner.classifier.save_whole(Path("theirs"))
    theirs = BertForMaskedLM.from_pretrained("theirs").eval()
    numbers = [len(learner.train) + i for i in (3, 0, 7)]  # of the second epoch
    batch = learner.train.batch([3, 0, 7], (learner.recipe.train.seed, 1))
    assert [i for i in learner.epoch(1)[0] if i < len(learner.train)] == []
    labels = torch.full_like(batch.input_ids, -100)
    labels[batch.rows] = batch.targets
    shape = (3, -1)
    out = theirs(input_ids=batch.input_ids.view(shape), labels=labels.view(shape))
    found = learner.loss(numbers)
    assert found.weight == len(batch.rows) < found.tokens
    assert float(found.loss.detach()) / found.weight == pytest.approx(float(out.loss), abs=1e-5)
    hits = (out.logits.argmax(2) == labels.view(shape))[labels.view(shape) >= 0].sum()
    assert found.sums["accuracy"] == hits


def test_the_methods_read_the_same_texts_under_the_same_masks(raw, monkeypatch):
    seen = []
    for method in ("lora", "full", "head", "bitfit"):
        with monkeypatch.context() as patch:
            batches = record_batches(patch, ROOM)
            learners = record_learners(patch, ROOM)
            facts = finetune(adapting(f"method={method}", "train.max_steps=9"), Path(method))
        names = {n for n, p in learners[0].model.named_parameters() if p.requires_grad}
        seen.append(batches)
        counts = facts.counts
        head = sum(p.numel() for p in learners[0].model.prediction.parameters())
        assert counts["trainable_parameters"] >= counts["trainable_parameters_without_head"] >= 0
        if method == "lora":
            assert all(".lora_" in name for name in names)
        if method == "head":
            assert counts["trainable_parameters"] == head
            assert counts["trainable_parameters_without_head"] == 0
    assert seen[0] == seen[1] == seen[2] == seen[3]
    # Seven batches of 32 make an epoch of 200; the eighth is of the second one.
    assert [batch[0] // 200 for batch in seen[0]] == [0] * 7 + [1] * 2


def test_a_run_that_was_stopped_ends_as_if_it_never_was(raw, monkeypatch):
    steps = [f"train.{key}" for key in ("max_steps=9", "eval_steps=2", "save_steps=3")]
    settings = ["train.learning_rate=0.01", *steps]
    whole = finetune(adapting(*settings), Path("whole"))
    with monkeypatch.context() as patch:
        stop_at(patch, ROOM, 5)
        with pytest.raises(StoppedError):
            finetune(adapting(*settings), RUN)
    parts = finetune(adapting(*settings), RUN, resume=True)
    assert exact_files(RUN) == exact_files(Path("whole"))
    assert parts.metrics == whole.metrics


def test_an_adapter_cannot_bring_the_head_that_the_base_lacks(raw):
    tiny_tasks.write_bert(raw / "bert")
    with pytest.raises(ConfigError, match="has no head for masked tokens, and an adapter cannot"):
        finetune(adapting(), RUN)
    assert not RUN.exists()
    facts = finetune(adapting("method=full", "train.max_steps=1"), RUN)
    assert facts.counts["trainable_parameters"] == facts.counts["parameters"]
    finetune(adapting("method=head", "train.max_steps=1"), Path("head"))
    assert load(Path("head"), device="cpu").predict(["[MASK]"])


def test_modules_that_an_adapter_cannot_hold_are_refused(raw):
    with pytest.raises(ConfigError, match=r"lora\.modules_to_save holds pooler, which an adapter"):
        finetune(adapting("lora.modules_to_save=[pooler]"), RUN)


def test_what_is_long_or_silent_is_said(raw, capsys):
    (raw / "data" / "train.txt").write_text("\n".join([*texts(8, 1), "€"]))
    finetune(adapting("data.max_length=6", "train.max_steps=1"), RUN)
    said = capsys.readouterr().err
    assert "task: mlm (asked for; 9 texts)" in said
    assert "88.9% of the train texts have more than 6 tokens and are read in pieces" in said
    assert "note: 1 of the train texts hold no token to mask" in said
    assert json.loads((RUN / "best" / "lowkey.json").read_text())["max_length"] == 6


def test_a_tokenizer_without_a_mask_is_refused(raw):
    tiny.write_tokenizer(raw / "bert", [w if w != "[MASK]" else "xx" for w in tiny.VOCABULARY])
    (raw / "bert" / "tokenizer.json").unlink()
    with pytest.raises(DataError, match=r"the tokenizer has no token \[MASK\]"):
        finetune(adapting(), RUN)


def test_a_rate_for_a_head_that_is_not_trained_is_refused(raw):
    with pytest.raises(ConfigError, match="is for heads that are trained, and by LoRA"):
        adapting("train.head_learning_rate=0.1")
    assert adapting("train.head_learning_rate=0.1", "method=full").train.head_learning_rate == 0.1


def test_what_computes_in_fp32_is_kept_in_it(raw, monkeypatch):
    """The frozen head, and the table that is its last map; the frozen blocks are not."""
    learners = record_learners(monkeypatch, ROOM)
    finetune(adapting("train.max_steps=1", "train.precision=bf16"), RUN)
    model = learners[0].classifier.model
    frozen = {n: p.dtype for n, p in model.named_parameters() if not p.requires_grad}
    kept = {n for n, dtype in frozen.items() if dtype == torch.float32}
    whole = {n for n in frozen if n.startswith("prediction.")}
    assert kept == whole | {"encoder.embeddings.token.weight"}
    assert frozen["encoder.blocks.0.attention.query.weight"] == torch.bfloat16
