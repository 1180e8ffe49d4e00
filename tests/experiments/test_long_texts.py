"""Texts longer than the model reads, in whole runs: cut, read in windows or refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_tasks
import torch
from experiments.tasks import finetuning, record_learners

from lowkey.errors import ConfigError, DataError
from lowkey.experiments import finetune as room
from lowkey.experiments.finetune import finetune
from lowkey.pipelines.classifier import TextClassifier
from lowkey.pipelines.load import load

RUN = Path("run")


def test_long_texts_are_cut_and_it_is_said(folder, capsys):
    facts = finetune(finetuning("data.max_length=5"), RUN)
    assert "of the train texts are longer than 5 tokens and are cut" in capsys.readouterr().err
    assert facts.max_length == 5


def test_texts_in_windows_are_trained_on_the_mean_of_their_logits(folder, monkeypatch, capsys):
    settings = ["data.max_length=5", "data.long_texts=window", "data.stride=1", "method=full"]
    learners = record_learners(monkeypatch, room)
    facts = finetune(finetuning(*settings, "train.per_device_train_batch_size=4"), RUN)
    said = capsys.readouterr().err
    assert "of the train texts are longer than 5 tokens and are read in up to 3 windows (" in said
    assert (facts.max_length, facts.long_texts, facts.stride) == (5, "window", 1)
    learner, (loaded, ids) = learners[0], (load(RUN, device="cpu"), [0, 5, 9])
    learner.model.eval()
    rows = [json.loads(line) for line in Path("data/train.jsonl").read_text().splitlines()]
    texts, labels = [rows[i]["text"] for i in ids], [rows[i]["label"] for i in ids]
    # By hand: three words between the special tokens, one of them shared with the next window.
    means = []
    for words in map(str.split, texts):
        windows = [words[i : i + 3] for i in range(0, max(len(words) - 1, 1), 2)]
        with torch.no_grad():
            batches = [learner.classifier.examples_of([" ".join(w)]).batch([0]) for w in windows]
            means.append(
                torch.stack([learner.model(b.input_ids, b.layout)[0] for b in batches]).mean(0)
            )
    truth = torch.tensor([facts.labels.index(label) for label in labels])
    expected = torch.nn.functional.cross_entropy(torch.stack(means), truth, reduction="sum")
    found = learner.loss(ids)
    assert float(found.loss.detach()) == pytest.approx(float(expected), abs=1e-5)
    assert found.weight == 3
    assert loaded.examples_of(texts).windows is not None


def test_sets_of_labels_are_decided_by_the_mean_of_the_windows(folder):
    for name, seed in (("train", 1), ("dev", 2)):
        rows = tiny_tasks.multilabel_rows(64, seed=seed)
        tiny_tasks.write_jsonl(folder / "data" / f"{name}.jsonl", rows)
    settings = ["data.max_length=4", "data.long_texts=window", "data.stride=0", "calibrate=true"]
    facts = finetune(finetuning(*settings, "method=bitfit", "train.max_steps=5"), RUN)
    assert facts.calibration is not None
    assert (facts.kind, facts.long_texts) == ("multilabel", "window")
    loaded = load(RUN, device="cpu")
    assert isinstance(loaded, TextClassifier)
    rows = [json.loads(line) for line in Path("data/dev.jsonl").read_text().splitlines()]
    words = [row["text"].split() for row in rows]
    # By hand: two words between the special tokens; temperature and thresholds fall on the mean.
    parts = [[" ".join(some[i : i + 2]) for i in range(0, len(some), 2)] for some in words]
    assert max(map(len, parts)) > 1
    means = [loaded.logits(loaded.examples_of(some)).mean(0) for some in parts]
    chances = 1 / (1 + np.exp(-np.stack(means) / facts.calibration.temperature))
    for answer, row in zip(loaded.predict([r["text"] for r in rows]), chances, strict=True):
        assert list(answer["scores"].values()) == pytest.approx(row.tolist(), abs=1e-5)
        limits = zip(facts.labels, row, facts.calibration.thresholds, strict=True)
        assert answer["labels"] == [name for name, chance, limit in limits if chance >= limit]


def test_long_texts_are_refused_on_request_with_their_place(folder):
    with pytest.raises(DataError, match=r"data/train\.jsonl:\d+: this text has \d+ tokens, the m"):
        finetune(finetuning("data.max_length=5", "data.long_texts=error"), RUN)
    assert not RUN.exists()


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        (
            "data.truncate=true",
            "lowkey finetune has data.long_texts — set data.long_texts: truncate",
        ),
        ("task=tag data.long_texts=window", "sentences to tag are read whole — set it to error or"),
        ("task=mlm data.long_texts=truncate", "task mlm reads all of a text, a long one in pieces"),
        ("task=mlm data.long_texts=error", "task mlm reads all of a text, a long one in pieces"),
        ("data.long_texts=windows", "data.long_texts"),
    ],
)
def test_what_a_task_cannot_do_with_long_texts_is_told(folder, settings, error):
    with pytest.raises(ConfigError) as caught:
        finetuning(*settings.split())
    assert error in str(caught.value)
