import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from sklearn.metrics import f1_score, log_loss

from lowkey.data.flat import FlatSequences
from lowkey.data.label_sets import LabelSets
from lowkey.pipelines.bundle import MAX_TEMPERATURE, Calibration, Facts
from lowkey.pipelines.calibration import calibrated, fit_temperature
from lowkey.pipelines.decisions import decision_of

RANDOM = np.random.default_rng(0)


def proud(labels, n=400, times=3.0):
    """Logits that are too sure of themselves by a factor, with what is true."""
    logits = RANDOM.normal(size=(n, labels))
    odds = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = np.array([RANDOM.choice(labels, p=row) for row in odds])
    return (times * logits).astype(np.float32), truth


def proud_sets(labels=3, n=400, times=3.0):
    logits = RANDOM.normal(loc=-1, size=(n, labels))
    table = RANDOM.random((n, labels)) < 1 / (1 + np.exp(-logits))
    ids = FlatSequences.of([np.flatnonzero(row).tolist() for row in table])
    return (times * logits).astype(np.float32), LabelSets(ids, labels)


def facts(kind, labels, **changes):
    return Facts(kind=kind, task="x", method="full", labels=list("abcdef"[:labels]), **changes)


def softmax(logits, temperature):
    return torch.from_numpy(logits).double().div(temperature).softmax(1).numpy()


def sigmoid(logits, temperature):
    return torch.from_numpy(logits).double().div(temperature).sigmoid().numpy()


def test_the_temperature_is_that_of_scipy():
    logits, truth = proud(4)
    classes = [0, 1, 2, 3]
    expected = minimize_scalar(
        lambda t: log_loss(truth, softmax(logits, t), labels=classes), bounds=(0.1, 20)
    ).x
    found = fit_temperature(logits, truth)
    assert found == pytest.approx(expected, rel=1e-3)
    assert 2 < found < 4.5
    logits, sets = proud_sets()
    expected = minimize_scalar(
        lambda t: log_loss(sets.table.ravel(), sigmoid(logits, t).ravel()), bounds=(0.1, 20)
    ).x
    assert fit_temperature(logits, sets.table) == pytest.approx(expected, rel=1e-3)


def test_where_all_is_right_the_temperature_stays_within_bounds():
    logits = np.array([[5.0, -5.0], [-5.0, 5.0]], dtype=np.float32)
    assert 1 / MAX_TEMPERATURE <= fit_temperature(logits, np.array([0, 1])) < 1
    assert fit_temperature(logits, np.array([1, 0])) == MAX_TEMPERATURE
    assert fit_temperature(np.zeros((2, 2), dtype=np.float32), np.array([1, 0])) == 1.0


def test_classes_become_honest_and_stay_what_they_are():
    logits, truth = proud(4)
    before = facts("classification", 4)
    found = calibrated(before, logits, truth)
    assert found.error_after < found.error_before / 2
    assert (found.thresholds, found.rows) == ([], 400)
    after = decision_of(before.model_copy(update={"calibration": found}))
    assert np.array_equal(after.choose(logits), logits.argmax(1))
    scores = after.answers(logits[:5])[0]["scores"]
    assert list(scores.values()) == pytest.approx(softmax(logits[:5], found.temperature)[0])


def test_two_classes_are_parted_where_macro_f1_is_best():
    logits, truth = proud(2)
    logits[:, 1] -= 6  # a model that hardly ever says the second
    before = facts("classification", 2)
    found = calibrated(before, logits, truth)
    assert len(found.thresholds) == 1
    after = decision_of(before.model_copy(update={"calibration": found}))

    def f1(chosen):
        return f1_score(truth, chosen, average="macro")

    sure = softmax(logits, found.temperature)[:, 1]
    best = max(f1(sure >= cut) for cut in (0, *(np.unique(sure) - 1e-9)))
    assert f1(after.choose(logits)) == pytest.approx(best)
    assert f1(after.choose(logits)) > f1(logits.argmax(1)) + 0.1
    labels = [answer["label"] for answer in after.answers(logits)]
    assert labels == ["ab"[i] for i in after.choose(logits)]


def test_each_label_gets_its_own_threshold():
    logits, sets = proud_sets()
    logits += np.array([0, -4, 3], dtype=np.float32)
    before = facts("multilabel", 3)
    found = calibrated(before, logits, sets)
    after = decision_of(before.model_copy(update={"calibration": found}))
    chosen = after.choose(logits)
    sure = sigmoid(logits, found.temperature)
    for label in range(3):
        true = sets.table[:, label]
        cuts = np.unique(sure[:, label]) - 1e-9
        best = max(f1_score(true, sure[:, label] >= cut) for cut in cuts)
        assert f1_score(true, chosen[:, label]) == pytest.approx(best)
    plain = decision_of(before)
    for name in ("f1_micro", "f1_macro"):
        gain = (
            after.measures(logits, sets)[name].plain() - plain.measures(logits, sets)[name].plain()
        )
        assert gain > 0.01
    # The order of the rows is as it was.
    orders = [one.measures(logits, sets)["average_precision"].plain() for one in (after, plain)]
    assert orders[0] == orders[1]
    said = after.answers(logits[:9])
    assert [one["labels"] for one in said] == after.outputs(logits[:9])
    assert list(said[0]["scores"].values()) == pytest.approx(sure[0])
    assert found.error_after < found.error_before


@pytest.mark.parametrize(
    ("kind", "labels", "thresholds"),
    [("multilabel", 3, [0.5]), ("classification", 3, [0.5]), ("classification", 2, [0.5, 0.5])],
)
def test_a_bundle_with_thresholds_for_other_labels_is_refused(kind, labels, thresholds):
    errors = {"error_before": 0.1, "error_after": 0.1, "rows": 9}
    with pytest.raises(ValueError, match=f"{len(thresholds)} thresholds for {labels} labels"):
        facts(kind, labels, calibration=Calibration(thresholds=thresholds, **errors))
    with pytest.raises(ValueError, match="temperature"):
        Calibration(temperature=0.0, **errors)


def test_what_is_calibrated_for_the_second_time_is_measured_as_it_was_before_the_first():
    rng = np.random.default_rng(3)
    facts = Facts(kind="classification", task="classify", method="full", labels=["no", "yes"])
    truth = rng.integers(0, 2, 200)
    logits = rng.normal(size=(200, 2)).astype(np.float32)
    logits[np.arange(200), truth] += 9
    first = calibrated(facts, logits, truth)
    again = calibrated(facts.model_copy(update={"calibration": first}), logits, truth)
    assert again == first
    assert first.error_before != first.error_after
