import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mean_squared_error

from lowkey.metrics.intervals import resamples
from lowkey.metrics.regression import mse, pearson, spearman

METRICS = {
    mse: mean_squared_error,
    pearson: lambda x, y: stats.pearsonr(x, y).statistic,
    spearman: lambda x, y: stats.spearmanr(x, y).statistic,
}
every_metric = pytest.mark.parametrize(
    ("ours", "theirs"), METRICS.items(), ids=lambda f: f.__name__
)


def draw(seed, n=40, ties=False):
    generator = np.random.default_rng(seed)
    true = generator.normal(1000, 1, size=n)
    guess = true**2 / 2000 + generator.normal(size=n)
    return (guess.round(), true.round()) if ties else (guess, true)


@every_metric
@pytest.mark.parametrize("ties", [False, True])
def test_equals_scipy_on_rows_and_on_resampled_rows(ours, theirs, ties):
    guess, true = draw(0, ties=ties)
    score = ours(guess, true)
    assert score.value == pytest.approx(theirs(guess, true), rel=1e-9)
    values = []
    for counts in np.concatenate(list(resamples(40, seed=0))):
        rows = np.repeat(np.arange(40), counts.astype(int))
        values.append(theirs(guess[rows], true[rows]))
    assert (score.low, score.high) == pytest.approx(np.percentile(values, [2.5, 97.5]), rel=1e-9)


@every_metric
def test_plain_lists_and_whole_numbers_will_do(ours, theirs):
    guess, true = [1, 2.5, 2, 4], [1, 2, 3, 5]
    assert ours(guess, true).value == pytest.approx(theirs(guess, true))


def test_perfect_predictions():
    _, true = draw(0)
    assert (mse(true, true).value, mse(true, true).high) == (0, 0)
    for correlation in (pearson, spearman):
        assert correlation(true, true).low == pytest.approx(1)
        assert correlation(-true, true).high == pytest.approx(-1)


@pytest.mark.parametrize("correlation", [pearson, spearman])
@pytest.mark.parametrize("constant", [0.0, 123.456])
def test_a_correlation_with_a_constant_is_undefined(correlation, constant):
    _, true = draw(0)
    for pair in [(np.full(40, constant), true), (true, np.full(40, constant))]:
        score = correlation(*pair)
        assert all(math.isnan(x) for x in (score.value, score.low, score.high))


@pytest.mark.parametrize("correlation", [pearson, spearman])
def test_constant_resamples_do_not_spoil_the_interval(correlation):
    score = correlation([1.0, 2.0, 2.5], [1.0, 2.0, 3.0])
    assert -1 <= score.low <= score.value <= score.high <= 1 + 1e-12


@every_metric
def test_nan_stays_nan(ours, theirs):
    guess, true = draw(0)
    guess[3] = math.nan
    assert math.isnan(ours(guess, true).value)


@every_metric
def test_rows_must_be_there_and_pair_up(ours, theirs):
    with pytest.raises(ValueError, match=f"{ours.__name__}: no rows"):
        ours([], [])
    with pytest.raises(ValueError, match=f"{ours.__name__}: 2 predictions for 3 references"):
        ours([1.0, 0.0], [1.0, 0.0, 1.0])
