import numpy as np
import pytest
import torch

from lowkey.data.flat import FlatSequences
from lowkey.data.label_sets import LabelSets
from lowkey.pipelines.bundle import Facts
from lowkey.pipelines.decisions import decision_of

LOGITS = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


def decision(kind, labels=("a", "b", "c")):
    return decision_of(Facts(kind=kind, task="x", method="full", labels=list(labels)))


def test_one_class_is_the_likeliest():
    classes = decision("classification")
    answers = classes.answers(LOGITS)
    for row, answer in zip(torch.from_numpy(LOGITS), answers, strict=True):
        assert list(answer["scores"].values()) == pytest.approx(row.softmax(0).tolist())
        assert answer["label"] == max(answer["scores"], key=lambda name: answer["scores"][name])
    truth = classes.choose(LOGITS)
    truth[0] = (truth[0] + 1) % 3
    scores = {name: one.plain() for name, one in classes.measures(LOGITS, truth).items()}
    assert scores["accuracy"] == pytest.approx(5 / 6)
    assert scores.keys() == {"accuracy", "f1_macro"}


def test_any_number_of_labels_is_each_that_is_likelier_than_not():
    sets = decision("multilabel")
    for row, answer in zip(torch.from_numpy(LOGITS), sets.answers(LOGITS), strict=True):
        assert list(answer["scores"].values()) == pytest.approx(row.sigmoid().tolist())
        assert answer["labels"] == [name for name, x in zip("abc", row, strict=True) if x >= 0]
    assert sets.outputs(np.full((1, 3), -1, dtype=np.float32)) == [[]]
    ids = FlatSequences.of([np.flatnonzero(row).tolist() for row in LOGITS >= 0])
    perfect = sets.measures(LOGITS, LabelSets(ids, 3))
    assert [one.plain() for one in perfect.values()] == [1.0] * 4


def test_a_number_is_the_logit():
    numbers = decision("regression", ())
    assert numbers.answers(LOGITS[:, :1]) == [{"score": x} for x in LOGITS[:, 0].tolist()]
    assert numbers.measures(LOGITS[:, :1], LOGITS[:, 0])["mse"].plain() == 0
    assert numbers.measures(LOGITS[:, :1], LOGITS[:, 0] + 2)["mse"].plain() == pytest.approx(4)


def test_the_plain_value_is_that_of_the_score():
    truth = np.array([0, 1, 2, 0, 1, 2])
    for measure in decision("classification").measures(LOGITS, truth).values():
        assert measure.plain() == measure.score().value
