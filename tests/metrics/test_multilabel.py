import warnings

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, average_precision_score, f1_score

from lowkey.metrics import intervals
from lowkey.metrics.multilabel import (
    average_precision_of,
    f1_micro_of,
    multilabel_f1_macro_of,
    multilabel_measures,
    subset_accuracy_of,
)


def f1(average):
    # What is neither predicted nor true has no F1, as in our macro F1 of classes.
    return lambda true, guess: f1_score(true, guess, average=average, zero_division=np.nan)


def average_precision(true, scores):
    held = true.any(0)
    return average_precision_score(true[:, held], scores[:, held], average="macro")


OF_SETS = {
    "f1_micro": (f1_micro_of, f1("micro")),
    "f1_macro": (multilabel_f1_macro_of, f1("macro")),
    "exact_match": (subset_accuracy_of, accuracy_score),
}


def draw(seed, n=40, labels=5):
    """Truth, scores with many ties, and what they say at one half; the last label never holds."""
    random = np.random.default_rng(seed)
    true = random.random((n, labels)) < random.random(labels)
    true[:, -1] = False
    scores = np.round(0.4 * true + 0.6 * random.random((n, labels)), 1)
    return true, scores, scores > 0.5


@pytest.mark.parametrize("seed", range(8))
def test_equals_scikit_learn(seed):
    true, scores, guess = draw(seed)
    ours = multilabel_measures(guess, true, scores)
    assert ours.keys() == {*OF_SETS, "average_precision"}
    for name, (_, theirs) in OF_SETS.items():
        score = ours[name].score()
        assert score.value == pytest.approx(theirs(true, guess), abs=1e-12)
        assert score.low < score.value < score.high
        assert score.n == 40
    score = ours["average_precision"].score()
    assert score.value == pytest.approx(average_precision(true, scores), abs=1e-12)
    assert score.low < score.value < score.high
    # Rows out of order are something else.
    backwards = f1_micro_of(guess[::-1], true).score().value
    assert backwards != pytest.approx(ours["f1_micro"].score().value)


def test_the_intervals_are_those_of_resampled_rows(monkeypatch):
    true, scores, guess = draw(1, n=12)
    monkeypatch.setattr(intervals, "NUM_RESAMPLES", 200)
    drawn = [
        np.repeat(np.arange(12), counts.astype(int))
        for counts in np.concatenate(list(intervals.resamples(12, seed=0)))
    ]
    for name, theirs, said in (
        *((name, OF_SETS[name][1], guess) for name in ("f1_micro", "f1_macro")),
        ("average_precision", average_precision, scores),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = [theirs(true[rows], said[rows]) for rows in drawn if true[rows].any()]
        score = multilabel_measures(guess, true, scores)[name].score()
        assert (score.low, score.high) == pytest.approx(
            np.nanpercentile(values, [2.5, 97.5]), abs=1e-12
        )


def test_two_systems_one_after_the_other_keep_their_scores():
    true, scores, guess = draw(2)
    other = draw(3)[1]
    both = multilabel_measures(
        np.concatenate([guess, other > 0.5]),
        np.concatenate([true, true]),
        np.concatenate([scores, other]),
    )
    for i, alone in enumerate((scores, other)):
        for name, measure in multilabel_measures(alone > 0.5, true, alone).items():
            assert both[name].part(i, 2) == measure.score()


def test_a_row_without_labels_can_be_right_and_has_no_f1_of_its_own():
    true = np.array([[False, False], [True, True]])
    guess = np.array([[False, False], [True, False]])
    assert subset_accuracy_of(guess, true).score().value == 0.5
    rows = f1_micro_of(guess, true).rows
    assert np.isnan(rows[0])
    assert rows[1] == pytest.approx(2 / 3)
    nothing = np.zeros((3, 2), dtype=bool)
    assert all(
        np.isnan(measure.score().value)
        for name, measure in multilabel_measures(nothing, nothing, nothing.astype(float)).items()
        if name != "exact_match"
    )


def test_rows_must_be_there():
    nothing = np.zeros((0, 4), dtype=bool)
    for name, (of, _) in OF_SETS.items():
        with pytest.raises(ValueError, match=f"{name}: no rows"):
            of(nothing, nothing)
    with pytest.raises(ValueError, match="average_precision: no rows"):
        average_precision_of(nothing.astype(float), nothing)


def test_rows_that_a_system_says_nothing_of_are_ties():
    truth = np.array([[True], [False], [True], [False]])
    silent = np.full((4, 1), -np.inf)
    with np.errstate(all="raise"):
        found = multilabel_measures(truth, truth, silent)["average_precision"].score().value
    same = multilabel_measures(truth, truth, np.full((4, 1), -9.0))["average_precision"]
    assert found == same.score().value == pytest.approx(0.5)
