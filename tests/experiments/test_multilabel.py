"""Any number of labels for each text: trained, scored, kept, and opened by other libraries."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_families
import tiny_tasks
import torch
from experiments.tasks import exact_files, finetuning, record_learners, stop_at
from sklearn.metrics import average_precision_score, f1_score

from lowkey.errors import DataError, StoppedError
from lowkey.experiments import finetune as room
from lowkey.experiments.evaluation import compare, evaluate
from lowkey.experiments.export import export
from lowkey.experiments.finetune import finetune
from lowkey.pipelines.load import load

RUN = Path("run")
TEXTS = ["the film is great", "b dull a", "not very good", "a"]


@pytest.fixture
def labelled(folder):
    """The folder of the tiny tasks, with lists of labels for data."""
    for name, rows, seed in (("train", 64, 1), ("dev", 32, 2)):
        write(name, tiny_tasks.multilabel_rows(rows, seed))
    return folder


def write(name, rows):
    tiny_tasks.write_jsonl(Path("data") / f"{name}.jsonl", rows)


def rows_of(name):
    return [json.loads(line) for line in Path(f"data/{name}.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("method", "rate", "low", "high"), [("lora", 0.005, 0.85, 1.0), ("head", 0.02, 0.0, 0.6)]
)
def test_the_words_that_bring_labels_are_learned(method, rate, low, high, labelled):
    write("train", tiny_tasks.multilabel_rows(400, seed=1))
    settings = [f"method={method}", f"train.learning_rate={rate}", "train.max_steps=80"]
    facts = finetune(finetuning(*settings, "train.lr_scheduler_type=constant"), RUN)
    assert low <= facts.metrics["f1_micro"]["value"] <= high
    assert (facts.kind, facts.task) == ("multilabel", "multilabel")
    assert facts.labels == ["blame", "film", "praise"]
    # What is said of a run is what its model does, by another scorer.
    rows = rows_of("dev")
    answers = load(RUN, device="cpu").predict([row["text"] for row in rows])
    truth = np.array([[name in row["label"] for name in facts.labels] for row in rows])
    said = np.array([[name in one["labels"] for name in facts.labels] for one in answers])
    sure = np.array([[one["scores"][name] for name in facts.labels] for one in answers])
    metrics = {name: score["value"] for name, score in facts.metrics.items()}
    assert metrics == pytest.approx(
        {
            "f1_micro": f1_score(truth, said, average="micro"),
            "f1_macro": f1_score(truth, said, average="macro"),
            "exact_match": (truth == said).all(1).mean(),
            "average_precision": average_precision_score(truth, sure, average="macro"),
        }
    )
    for name in ("f1_micro", "average_precision"):
        assert facts.metrics[name]["low"] <= facts.metrics[name]["value"]
    named = [
        one["labels"] == [n for n in facts.labels if one["scores"][n] >= 0.5] for one in answers
    ]
    assert all(named)
    assert (facts.samples[0]["correct"], facts.metrics["f1_micro"]["n"]) != (None, 0)


@pytest.mark.parametrize("family", ["bert", "distilbert"])
def test_peft_and_transformers_open_it_with_the_same_logits(labelled, family):
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification

    if family != "bert":
        shutil.rmtree(labelled / "bert")
        tiny_families.write(labelled / "bert", family, max_position_embeddings=66)
    finetune(finetuning("train.max_steps=2", "train.learning_rate=0.01"), RUN)
    ours = load(RUN, device="cpu")
    auto = AutoModelForSequenceClassification
    export(RUN, format="merged", out=Path("whole"))
    base = auto.from_pretrained(
        labelled / "bert", num_labels=3, problem_type="multi_label_classification"
    )
    opened = [PeftModel.from_pretrained(base, RUN / "best"), auto.from_pretrained("whole")]
    assert opened[1].config.problem_type == "multi_label_classification"
    assert json.loads((RUN / "best" / "adapter_config.json").read_text())["task_type"] == "SEQ_CLS"
    assert list(opened[1].config.id2label.values()) == ["blame", "film", "praise"]
    examples = ours.examples_of(TEXTS)
    expected = ours.logits(examples)
    for theirs in opened:
        for row in range(len(TEXTS)):
            with torch.no_grad():
                logits = theirs.eval()(input_ids=examples.batch([row]).input_ids[None]).logits[0]
            assert logits.tolist() == pytest.approx(expected[row], abs=1e-5)


def test_the_scores_of_the_run_of_evaluate_and_of_compare_are_one(labelled):
    settings = ["train.learning_rate=0.02", "train.max_steps=20"]
    facts = finetune(finetuning("task=multilabel", *settings), RUN)
    finetune(finetuning("method=head", *settings), Path("other"))
    assert evaluate(RUN, "data/dev.jsonl", device="cpu")["metrics"] == facts.metrics
    both = compare([Path("other"), RUN], "data/dev.jsonl", device="cpu", outputs=Path("outputs"))
    for name, score in both["systems"][1]["metrics"].items():
        assert score == pytest.approx(facts.metrics[name])
    assert both["apart"]["metric"] == "f1_micro"
    line = json.loads((Path("outputs") / "run.jsonl").read_text().splitlines()[0])
    assert line["output"] == load(RUN, device="cpu").predict([line["text"]])[0]["labels"]
    assert isinstance(both["apart"]["rows"][0]["truth"], list)


def test_a_run_that_was_stopped_ends_as_if_it_never_was(labelled, monkeypatch):
    steps = [f"train.{key}" for key in ("max_steps=9", "eval_steps=2", "save_steps=3")]
    settings = ["train.per_device_train_batch_size=16", *steps, "train.learning_rate=0.01"]
    whole = finetune(finetuning(*settings), Path("whole"))
    with monkeypatch.context() as patch:
        stop_at(patch, room, 5)
        with pytest.raises(StoppedError):
            finetune(finetuning(*settings), RUN)
    parts = finetune(finetuning(*settings), RUN, resume=True)
    assert exact_files(RUN) == exact_files(Path("whole"))
    assert parts.metrics == whole.metrics


def test_pairs_of_texts_may_have_lists_of_labels_too(labelled):
    for name in ("train", "dev"):
        write(name, [row | {"text_pair": "a film"} for row in rows_of(name)])
    facts = finetune(finetuning(), RUN)
    assert (facts.kind, facts.pairs) == ("multilabel", True)
    assert load(RUN, device="cpu").predict(["good"], ["film"])[0].keys() == {"labels", "scores"}


def test_validation_without_any_label_is_refused(labelled, monkeypatch):
    learners = record_learners(monkeypatch, room)
    write("dev", [{"text": "a", "label": []}])
    with pytest.raises(DataError, match="no validation row has a label, so that f1_micro is undef"):
        finetune(finetuning(), RUN)
    assert not RUN.exists()
    assert learners == []
