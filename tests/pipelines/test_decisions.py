import numpy as np
import pytest
import torch

from lowkey.data.flat import FlatSequences
from lowkey.data.label_sets import LabelSets
from lowkey.pipelines.bundle import Calibration, Facts
from lowkey.pipelines.decisions import Classes, decision_of

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


def test_a_threshold_parts_probabilities_that_are_next_to_each_other():
    """Halfway between two neighbours of fp32 there is no number in fp32 itself."""
    facts = Facts(kind="classification", task="classify", method="full", labels=["no", "yes"])
    logits = np.array([[0.0, 0.1], [0.0, np.nextafter(np.float32(0.1), np.float32(1))]], np.float32)
    low, high = Classes(facts).probabilities(logits)[:, 1].astype(np.float64)
    while low == high:
        logits[1, 1] = np.nextafter(logits[1, 1], np.float32(1))
        low, high = Classes(facts).probabilities(logits)[:, 1].astype(np.float64)
    fitted = Calibration(
        temperature=1, error_before=0, error_after=0, rows=2, thresholds=[(low + high) / 2]
    )
    decision = Classes(facts.model_copy(update={"calibration": fitted}))
    assert decision.choose(logits).tolist() == [0, 1]
