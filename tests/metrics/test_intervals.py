import math

import numpy as np
import pytest
from scipy.stats import binomtest

from lowkey.metrics import intervals
from lowkey.metrics.intervals import bootstrapped, resamples, wilson


@pytest.mark.parametrize(("successes", "n"), [(0, 7), (1, 7), (5, 7), (7, 7), (942, 1000)])
def test_wilson_equals_scipy(successes, n):
    score = wilson(successes, n)
    theirs = binomtest(successes, n).proportion_ci(method="wilson")
    assert (score.value, score.n) == (successes / n, n)
    assert (score.low, score.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_wilson_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no rows"):
        wilson(0, 0)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_wilson_covers_the_truth_about_95_times_in_100(share):
    draws = np.random.default_rng(0).binomial(200, share, size=2000)
    covered = [s.low <= share <= s.high for s in (wilson(int(hits), 200) for hits in draws)]
    assert 0.93 < np.mean(covered) < 0.98


def mean_of(rows):
    return bootstrapped(lambda weights: weights @ rows / len(rows), len(rows))


def test_the_bootstrap_covers_the_truth_about_95_times_in_100():
    draw = np.random.default_rng(0)
    scores = [mean_of(draw.exponential(size=100)) for _ in range(300)]
    assert 0.88 < np.mean([score.low <= 1 <= score.high for score in scores]) < 0.98
    assert not 0.88 < np.mean([score.low <= 1.1 <= score.high for score in scores]) < 0.98


def test_the_bootstrap_of_a_mean_is_as_wide_as_its_standard_error():
    rows = np.random.default_rng(1).normal(size=2000)
    score = mean_of(rows)
    error = rows.std() / math.sqrt(len(rows))
    assert score.value == pytest.approx(rows.mean(), abs=1e-12)
    assert score.high - score.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_resamples_are_seeded_and_complete(monkeypatch):
    counts = np.concatenate(list(resamples(7, seed=3)))
    assert counts.shape == (1000, 7)
    assert (counts.sum(axis=1) == 7).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(7), abs=0.15)
    assert not np.array_equal(counts, np.concatenate(list(resamples(7, seed=4))))
    # Small blocks draw the same stream.
    monkeypatch.setattr(intervals, "CELLS_AT_ONCE", 7 * 300)
    assert np.array_equal(counts, np.concatenate(list(resamples(7, seed=3))))


def test_an_undefined_score_has_an_undefined_interval():
    score = bootstrapped(lambda weights: np.full(len(weights), np.nan), 5)
    assert all(math.isnan(x) for x in (score.value, score.low, score.high))


def test_undefined_resamples_are_left_out():
    rows = np.array([1.0, 2.0, 3.0])
    score = bootstrapped(lambda w: np.where(w[:, 0] > 0, w @ rows / 3, np.nan), 3)
    assert score.value == 2
    assert 1 <= score.low < score.high < 3
