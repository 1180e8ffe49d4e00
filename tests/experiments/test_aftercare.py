"""Rare classes, calibration and collapse, from the recipe to what the user is told."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_tasks
from experiments.tasks import finetuning, record_batches, record_learners

from lowkey.errors import ConfigError
from lowkey.experiments import finetune as room
from lowkey.experiments.evaluation import evaluate
from lowkey.experiments.finetune import finetune
from lowkey.pipelines.bundle import Facts
from lowkey.pipelines.load import load

RUN = Path("run")


def write(name, rows):
    tiny_tasks.write_jsonl(Path("data") / f"{name}.jsonl", rows)


def skewed(count, seed, every=12):
    """The tiny task with one positive text in so many."""
    rows = tiny_tasks.labelled_rows(count, seed)
    return [row for i, row in enumerate(rows) if row["label"] == "negative" or i % every == 1]


@pytest.fixture
def rare(folder):
    """The folder of the tiny tasks, with few positive texts."""
    write("train", skewed(400, seed=1))
    return folder


def test_skewed_classes_are_told(rare, capsys):
    finetune(finetuning(), RUN)
    said = " ".join(capsys.readouterr().err.split())
    assert 'the labels are skewed ("positive" 14.5%, "negative" 85.5% of the rows)' in said
    assert "the best step is chosen by f1_macro" in said


def test_classes_that_are_not_skewed_are_not(folder, capsys):
    finetune(finetuning(), RUN)
    assert "skewed" not in capsys.readouterr().err


def test_skewed_labels_choose_the_best_step_by_macro_f1(folder, monkeypatch):
    learners = record_learners(monkeypatch, room)
    rows = tiny_tasks.multilabel_rows(64, seed=1)
    write("train", rows)
    write("dev", tiny_tasks.multilabel_rows(32, seed=2))
    finetune(finetuning(), Path("even"))
    for row in rows[:4]:
        row["label"].append("rare")
    write("train", rows)
    finetune(finetuning(), Path("skewed"))
    assert [learner.metric_for_best for learner in learners] == ["f1_micro", "f1_macro"]


def test_balanced_weights_and_samples_reach_the_loss_and_the_batches(rare, monkeypatch):
    learners = record_learners(monkeypatch, room)
    seen = {}
    for name, settings in {
        "plain": [],
        "weights": ["train.class_weight=balanced"],
        "samples": ["train.sampling=balanced"],
        "again": ["train.sampling=balanced", "method=head"],
    }.items():
        with monkeypatch.context() as patch:
            batches = record_batches(patch, room)
            finetune(finetuning("train.max_steps=8", *settings), Path(name))
        seen[name] = batches
    assert seen["plain"] == seen["weights"]
    assert seen["samples"] == seen["again"] != seen["plain"]
    labels = learners[0].train.labels
    drawn = np.bincount(labels[[i for batch in seen["samples"] for i in batch]])
    assert drawn.tolist() == [len(labels) // 2] * 2  # 234 rows in 8 batches of 32
    # The rare class weighs as much as the other, so that their losses add up differently.
    plain, weighed = (learner.loss([0, 1, 2]) for learner in learners[:2])
    assert plain.loss.item() != pytest.approx(weighed.loss.item(), rel=0.05)


def test_what_is_calibrated_is_kept_used_and_shown(rare, capsys):
    write("test", tiny_tasks.labelled_rows(40, seed=3))
    settings = ["train.learning_rate=0.01", "train.max_steps=40", "data.test=data/test.jsonl"]
    plain = finetune(finetuning(*settings), Path("plain"))
    facts = finetune(finetuning(*settings, "calibrate=true"), RUN)
    found = facts.calibration
    assert plain.calibration is None
    assert (found.rows, len(found.thresholds)) == (32, 1)
    assert found.error_after <= found.error_before + 0.05
    said = " ".join(capsys.readouterr().err.split())
    assert f"calibrated on 32 validation rows: temperature {found.temperature:.3g}," in said
    assert Facts.read(RUN / "best").calibration == found
    # The same weights, another line between the classes; and never fitted on test rows.
    assert facts.metrics != plain.metrics
    assert facts.notes == []
    write("test", tiny_tasks.labelled_rows(40, seed=4))
    assert finetune(finetuning(*settings, "calibrate=true"), Path("other")).calibration == found
    pipeline = load(RUN, device="cpu")
    rows = [json.loads(line) for line in Path("data/dev.jsonl").read_text().splitlines()]
    answers = pipeline.predict([row["text"] for row in rows])
    for answer in answers:
        yes = answer["scores"]["positive"] >= found.thresholds[0]
        assert answer["label"] == ("positive" if yes else "negative")
    assert evaluate(RUN, "data/dev.jsonl", device="cpu")["metrics"]["accuracy"]["value"] == (
        np.mean([a["label"] == row["label"] for a, row in zip(answers, rows, strict=True)])
    )
    report = (RUN / "report.html").read_text(encoding="utf-8")
    assert "Calibration" in report
    assert "expected calibration error" in report


def test_scores_that_are_flattered_by_thresholds_say_so(folder):
    facts = finetune(finetuning("calibrate=true"), RUN)
    assert "thresholds were fitted on the validation rows that the scores are of" in facts.notes[0]
    assert "which flatters them" in (RUN / "report.html").read_text(encoding="utf-8")


def test_a_collapse_is_told_with_its_likeliest_cause(rare, capsys):
    few = finetune(finetuning("train.learning_rate=1e-9"), Path("few"))
    assert few.notes == [
        'the model has collapsed: all 32 validation rows are said to be "negative";'
        " 2 steps are few and the labels are skewed — raise train.num_train_epochs or"
        " train.max_steps, set train.class_weight: balanced"
    ]
    assert "the model has collapsed" in " ".join(capsys.readouterr().err.split())
    settings = ["train.max_steps=100", "train.eval_steps=100", "train.learning_rate=1e-9"]
    small = ["train.per_device_train_batch_size=2", *settings]
    (skew,) = finetune(finetuning(*small), Path("skew")).notes
    assert skew.endswith("; the labels are skewed — set train.class_weight: balanced")
    (rate,) = finetune(finetuning(*small, "train.class_weight=balanced"), Path("rate")).notes
    assert rate.endswith("may be too high — try train.learning_rate: 3.3e-10")
    (head,) = finetune(
        finetuning(*small, "train.class_weight=balanced", "method=head"), Path("head")
    ).notes
    assert head.endswith("may be too low — try train.learning_rate: 3e-09")
    report = (Path("head") / "report.html").read_text(encoding="utf-8")
    assert "the model has collapsed" in report


def test_no_label_for_any_text_is_a_collapse_too(folder):
    write("train", tiny_tasks.multilabel_rows(64, seed=1))
    write("dev", tiny_tasks.multilabel_rows(32, seed=2))
    facts = finetune(finetuning("train.learning_rate=0.01"), RUN)
    assert facts.metrics["f1_micro"]["value"] == 0
    assert "rows are said to have no label; 2 steps are few" in facts.notes[0]


@pytest.mark.parametrize("task", ["regress", "tag"])
def test_what_has_no_probabilities_of_texts_is_not_calibrated(folder, task):
    for name, seed in (("train", 1), ("dev", 2)):
        rows = tiny_tasks.tagged_rows(16, seed)
        numbers = [{"text": "a good film", "label": i / 3} for i in range(16)]
        write(name, rows if task == "tag" else numbers)
    with pytest.raises(ConfigError, match=f"task {task} has none — set it to false"):
        finetune(finetuning(f"task={task}", "calibrate=true"), RUN)
    assert not RUN.exists()
