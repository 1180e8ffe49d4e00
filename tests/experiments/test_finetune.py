import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_tasks
import torch
from experiments.tasks import exact_files, finetuning, record_batches, record_learners, stop_at
from safetensors.torch import load_file, save_file

from lowkey.data.config import DataConfig
from lowkey.data.sources import read_rows
from lowkey.errors import ConfigError, StoppedError
from lowkey.experiments import finetune as room
from lowkey.experiments.finetune import finetune
from lowkey.experiments.splits import hold_out
from lowkey.hf.bert import load_classifier
from lowkey.pipelines.bundle import Facts
from lowkey.pipelines.load import load

METHODS = pytest.mark.parametrize("method", ["lora", "full", "head", "bitfit"])
RUN = Path("run")


@pytest.fixture
def many(folder):
    """Rows enough to learn the words."""
    tiny_tasks.write_jsonl(folder / "data" / "train.jsonl", tiny_tasks.labelled_rows(400, seed=1))
    return folder


@pytest.mark.parametrize(("method", "rate"), [("lora", 0.01), ("full", 0.003)])
def test_the_words_that_decide_are_learned(method, rate, many):
    settings = [f"method={method}", f"train.learning_rate={rate}", "train.max_steps=60"]
    facts = finetune(finetuning(*settings, "train.lr_scheduler_type=constant"), RUN)
    assert facts.metrics["accuracy"]["value"] > 0.9
    loaded = load(RUN, device="cpu")
    said = [answer["label"] for answer in loaded.predict(["the film is great", "b dull a"])]
    assert said == ["positive", "negative"]


def test_labels_that_mean_nothing_are_not_learned(many):
    """The negative control: the same rows with labels by chance."""
    rows = tiny_tasks.labelled_rows(400, seed=1)
    labels = np.random.default_rng(0).permutation([row["label"] for row in rows])
    shuffled = [r | {"label": str(v)} for r, v in zip(rows, labels, strict=True)]
    tiny_tasks.write_jsonl(many / "data" / "train.jsonl", shuffled)
    settings = ["train.learning_rate=0.01", "train.max_steps=60"]
    assert finetune(finetuning(*settings), RUN).metrics["accuracy"]["value"] < 0.8


def test_the_methods_read_the_same_batches_in_the_same_order(folder, monkeypatch):
    seen = {}
    settings = ["train.max_steps=10", "train.per_device_train_batch_size=16"]
    for method in ("lora", "full", "head", "bitfit"):
        with monkeypatch.context() as patch:
            batches = record_batches(patch, room)
            finetune(finetuning(f"method={method}", *settings), Path(method))
        seen[method] = batches
    assert seen["lora"] == seen["full"] == seen["head"] == seen["bitfit"]
    assert len(seen["lora"]) == 10
    assert sorted(i for batch in seen["lora"][:4] for i in batch) == list(range(64))
    with monkeypatch.context() as patch:
        other = record_batches(patch, room)
        finetune(finetuning("train.seed=1", *settings), Path("other"))
    assert other != seen["lora"]


@METHODS
def test_only_what_a_method_trains_has_changed(method, folder, monkeypatch):
    learners = record_learners(monkeypatch, room)
    before = (folder / "bert" / "model.safetensors").read_bytes()
    facts = finetune(finetuning(f"method={method}", "train.learning_rate=0.01"), RUN)
    assert (folder / "bert" / "model.safetensors").read_bytes() == before
    base = load_classifier(folder / "bert", 2).state_dict()
    for state in (learners[0].model.state_dict(), load(RUN, device="cpu").model.state_dict()):
        names = {n for n in base if not n.startswith("classifier.")}
        changed = {name for name in names if not torch.equal(state[name], base[name])}
        if method == "full":
            # Position vectors beyond the longest text have no gradient, but the table has.
            assert changed == names
        else:
            kept = () if method == "bitfit" else names
            assert changed == {n for n in names if n.endswith("bias")} - set(kept)
        assert state["classifier.bias"].abs().max() > 0
    # By hand: d_model 32, d_ff 64, two blocks, two labels, updates of rank 8.
    head = 32 * 2 + 2
    lora = 2 * 8 * (4 * (32 + 32) + 2 * (32 + 64))
    plain = sum(tensor.numel() for tensor in base.values())
    counts = facts.counts
    # A block: four maps, two norms and one map of width 32, one of 64; then a norm and the pooler.
    biases = 2 * (4 * 32 + 2 * 32 + 64 + 32) + 32 + 32
    trained = {"lora": lora + head, "full": plain, "head": head, "bitfit": biases + head}[method]
    assert counts["trainable_parameters"] == trained
    assert counts["trainable_parameters_without_head"] == trained - head
    assert counts["parameters"] == plain + (lora if method == "lora" else 0)


def test_facts_say_what_came_of_it(folder):
    tiny_tasks.write_jsonl(folder / "data" / "test.jsonl", tiny_tasks.labelled_rows(40, seed=3))
    facts = finetune(finetuning("data.test=data/test.jsonl"), RUN)
    assert Facts.read(RUN / "best") == facts
    counts = facts.counts
    assert (counts["steps"], counts["epochs"]) == (2, 1.0)
    assert (counts["train_rows"], counts["test_rows"]) == (64, 40)
    assert counts["training_seconds"] > 0
    assert 0 < counts["disk_bytes"] <= sum(p.stat().st_size for p in (RUN / "best").iterdir())
    assert facts.metrics["accuracy"]["n"] == 40
    assert len(facts.samples) == 20
    assert facts.base_model == str(folder / "bert")
    assert (facts.task, facts.labels) == ("classify", ["negative", "positive"])
    assert (RUN / "report.html").exists()
    lines = [json.loads(line) for line in (RUN / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["test/accuracy"] == facts.metrics["accuracy"]["value"]
    # The folder travels: its base is found from anywhere.
    (folder / "elsewhere").mkdir()
    moved = (folder / "run").rename(folder / "elsewhere" / "run")
    assert load(moved, device="cpu").predict(["good"])


def test_without_validation_rows_are_held_out_and_it_is_said(folder, capsys, monkeypatch):
    learners = record_learners(monkeypatch, room)
    for run in ("a", "b"):
        finetune(finetuning("data.validation=null"), Path(run))
    said = capsys.readouterr().err
    assert said.count("no data.validation: 6 of the training rows are held out") == 2
    assert [len(part) for part in (learners[0].train, learners[0].validation)] == [58, 6]
    for part in ("train", "validation"):
        first, second = (getattr(learner, part).tokens.values for learner in learners)
        assert np.array_equal(first, second)
    assert exact_files(Path("a")) == exact_files(Path("b"))


def test_a_class_whose_only_row_is_held_out_is_still_a_class(folder):
    rows = [{"text": f"good {i}", "label": f"class {i % 2}"} for i in range(12)]
    source = "data/train.jsonl"
    tiny_tasks.write_jsonl(folder / source, rows)
    read = read_rows(source, DataConfig(), ("text", "label"), key="data.train")
    (held,) = hold_out(read, finetuning().train.seed)[1]
    lone = [row | ({"label": "lone"} if row["text"] == held["text"] else {}) for row in rows]
    tiny_tasks.write_jsonl(folder / source, lone)
    facts = finetune(finetuning("data.validation=null", "train.max_steps=1"), RUN)
    assert facts.labels == ["class 0", "class 1", "lone"]
    assert facts.samples[0]["target"] == "lone"


def test_numbers_and_pairs_are_learned_too(folder):
    rows = tiny_tasks.labelled_rows(64, seed=1)
    numbers = [{"text": r["text"], "label": 0.5 + (r["label"] == "positive")} for r in rows]
    tiny_tasks.write_jsonl(folder / "data" / "numbers.jsonl", numbers)
    same = [
        {"text": a["text"], "text_pair": b["text"], "label": str(a["label"] == b["label"])}
        for a, b in zip(rows, [*rows[3:], *rows[:3]], strict=True)
    ]
    same[0]["label"] = "maybe"
    tiny_tasks.write_jsonl(folder / "data" / "pairs.jsonl", same)
    common = ["train.learning_rate=0.01"]
    source = "data/numbers.jsonl"
    data = [f"data.train={source}", f"data.validation={source}"]
    facts = finetune(finetuning(*common, *data, "train.max_steps=20"), Path("numbers"))
    assert (facts.kind, facts.task, facts.labels) == ("regression", "regress", [])
    assert facts.metrics.keys() == {"mse", "pearson", "spearman"}
    assert facts.metrics["mse"]["value"] < 0.35  # answering the mean gives 0.25, zero 1.25
    (answer,) = load(Path("numbers"), device="cpu").predict(["good"])
    assert answer.keys() == {"score"}
    data = [text.replace("numbers", "pairs") for text in data]
    facts = finetune(finetuning(*common, *data), Path("pairs-run"))
    assert (facts.kind, facts.task, facts.pairs) == ("classification", "pair", True)
    assert "‖" in facts.samples[0]["source"]
    assert load(Path("pairs-run"), device="cpu").predict(["good"], ["bad"])


@pytest.mark.parametrize("method", ["lora", "head", "full", "bitfit"])
def test_what_the_base_does_not_hold_is_trained_and_kept(method, folder, monkeypatch):
    path = folder / "bert" / "model.safetensors"
    state = {k: v for k, v in load_file(path).items() if "pooler" not in k}
    save_file(state, path, {"format": "pt"})
    learners = record_learners(monkeypatch, room)
    finetune(finetuning(f"method={method}", "train.max_steps=1"), RUN)
    trained = learners[0].model.state_dict()
    first, second = (load(RUN, device="cpu").model.state_dict() for _ in range(2))
    for name in ("encoder.pooler.dense.weight", "classifier.weight"):
        assert torch.equal(first[name], trained[name])
        assert torch.equal(second[name], trained[name])


@pytest.mark.parametrize("method", ["lora", "head", "bitfit", "full"])
def test_a_run_that_was_stopped_ends_as_if_it_never_was(method, folder, monkeypatch):
    steps = [f"train.{key}" for key in ("max_steps=9", "eval_steps=2", "save_steps=3")]
    steps += ["train.per_device_train_batch_size=16", "train.layer_decay=0.5"]
    settings = [f"method={method}", "train.learning_rate=0.01", "train.logging_steps=2", *steps]
    settings += ["lora.lora_dropout=0.1", "train.head_learning_rate=0.02"]
    whole = finetune(finetuning(*settings), Path("whole"))
    with monkeypatch.context() as patch:
        stop_at(patch, room, 5)
        with pytest.raises(StoppedError, match="stopped by SIGTERM at step"):
            finetune(finetuning(*settings), RUN)
    assert not (RUN / "report.html").exists()
    with monkeypatch.context() as patch:
        batches = record_batches(patch, room)
        parts = finetune(finetuning(*settings), RUN, resume=True)
    assert 0 < len(batches) < 9
    assert exact_files(RUN) == exact_files(Path("whole"))
    assert parts.metrics == whole.metrics
    assert parts.samples == whole.samples


def test_a_finished_run_is_not_trained_again(folder, monkeypatch):
    finetune(finetuning(), RUN)
    before = exact_files(RUN)
    with pytest.raises(ConfigError, match="run already holds a run"):
        finetune(finetuning(), RUN)
    batches = record_batches(monkeypatch, room)
    facts = finetune(finetuning(), RUN, resume=True)
    assert batches == []
    weights = {k: v for k, v in exact_files(RUN).items() if k != "metrics.jsonl"}
    assert weights == {k: v for k, v in before.items() if k != "metrics.jsonl"}
    assert facts.metrics


def test_frozen_weights_are_kept_in_bf16_and_scored_in_fp32(folder, monkeypatch):
    learners = record_learners(monkeypatch, room)
    monkeypatch.setattr(room.runtime, "resolve_precision", lambda *_: torch.bfloat16)
    facts = finetune(finetuning("train.precision=auto"), RUN)
    kinds = {(p.requires_grad, p.dtype) for p in learners[0].model.parameters()}
    assert kinds == {(True, torch.float32), (False, torch.bfloat16)}
    loaded = load(RUN, device="cpu")
    assert {p.dtype for p in loaded.model.parameters()} == {torch.float32}
    rows = [json.loads(line) for line in Path("data/dev.jsonl").read_text().splitlines()]
    said = [answer["label"] for answer in loaded.predict([row["text"] for row in rows])]
    right = sum(name == row["label"] for name, row in zip(said, rows, strict=True))
    assert facts.metrics["accuracy"]["value"] == right / len(rows)


def test_a_head_of_the_base_is_taken_if_it_fits(folder):
    """A model fine-tuned before goes on from its own head."""
    finetune(finetuning("method=full"), RUN)
    shutil.copytree("run/best", "before")
    settings = ["model.path=before", "train.learning_rate=1e-30", "train.max_steps=1"]
    finetune(finetuning(*settings), Path("again"))
    first, second = (load(Path(run), device="cpu") for run in ("run", "again"))
    for one, other in zip(first.predict(["good", "a"]), second.predict(["good", "a"]), strict=True):
        assert one["scores"] == pytest.approx(other["scores"], abs=1e-5)
