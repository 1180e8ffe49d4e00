import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from lowkey.metrics import intervals
from lowkey.metrics.classification import accuracy, f1_macro, matthews

METRICS = {
    accuracy: accuracy_score,
    f1_macro: lambda true, guess: f1_score(true, guess, average="macro", zero_division=0),
    matthews: matthews_corrcoef,
}
every_metric = pytest.mark.parametrize(
    ("ours", "theirs"), METRICS.items(), ids=lambda f: f.__name__
)


def draw(seed, n=60, classes=4):
    generator = np.random.default_rng(seed)
    true = generator.integers(classes, size=n)
    return np.where(generator.random(n) < 0.6, true, generator.integers(classes, size=n)), true


@every_metric
@pytest.mark.parametrize("classes", [2, 3, 9])
def test_equals_scikit_learn(ours, theirs, classes):
    for seed in range(10):
        guess, true = draw(seed, classes=classes)
        score = ours(guess, true)
        assert score.value == pytest.approx(theirs(true, guess), abs=1e-12)
        assert score.low < score.value < score.high
        assert score.n == 60
    assert ours(true, guess[::-1]).value != pytest.approx(score.value)


@every_metric
def test_names_are_as_good_as_numbers(ours, theirs):
    guess, true = draw(0)
    names = np.array(["ham", "spam", "eggs", "toast"])
    named, numbered = ours(names[guess].tolist(), names[true].tolist()), ours(guess, true)
    assert (named.value, named.low, named.high) == pytest.approx(
        (numbered.value, numbered.low, numbered.high)
    )


@pytest.mark.parametrize("ours", [f1_macro, matthews])
def test_the_interval_is_that_of_resampled_rows(ours, monkeypatch):
    guess, true = draw(1, n=15, classes=5)  # so few rows that resamples lose classes
    monkeypatch.setattr(intervals, "NUM_RESAMPLES", 200)
    values = []
    for counts in np.concatenate(list(intervals.resamples(15, seed=0))):
        rows = np.repeat(np.arange(15), counts.astype(int))
        values.append(METRICS[ours](true[rows], guess[rows]))
    score = ours(guess, true)
    assert (score.low, score.high) == pytest.approx(np.percentile(values, [2.5, 97.5]), abs=1e-12)


@every_metric
def test_perfect_predictions_score_one(ours, theirs):
    _, true = draw(0)
    score = ours(true, true)
    assert score.value == score.high == 1


def test_constant_predictions():
    _, true = draw(0, classes=2)
    guess = np.ones_like(true)
    assert matthews(guess, true).value == 0
    assert f1_macro(guess, true).value == pytest.approx(true.sum() / (len(true) + true.sum()))


@every_metric
def test_rows_must_be_there_and_pair_up(ours, theirs):
    with pytest.raises(ValueError, match=f"{ours.__name__}: no rows"):
        ours([], [])
    with pytest.raises(ValueError, match=f"{ours.__name__}: 2 predictions for 3 references"):
        ours([1, 0], [1, 0, 1])
