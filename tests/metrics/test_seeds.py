import math

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_rel

from lowkey.metrics.classification import f1_macro_of
from lowkey.metrics.comparison import paired_bootstrap
from lowkey.metrics.measure import share
from lowkey.metrics.seeds import difference_over_rows, over_seeds, paired_over_seeds

SCORES = [0.91, 0.93, 0.92, 0.915, 0.94]


def test_the_interval_is_the_one_of_scipy():
    ours, theirs = over_seeds(SCORES), ttest_1samp(SCORES, 0)
    interval = theirs.confidence_interval(0.95)
    assert ours.value == pytest.approx(np.mean(SCORES))
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high), abs=1e-12)
    assert ours.p_zero == pytest.approx(theirs.pvalue, rel=1e-9)
    assert ours.sd == pytest.approx(np.std(SCORES, ddof=1))
    assert ours.n == 5


def test_a_paired_difference_is_the_one_of_scipy():
    others = [0.90, 0.935, 0.91, 0.92, 0.92]
    ours, theirs = paired_over_seeds(SCORES, others), ttest_rel(SCORES, others)
    interval = theirs.confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high), abs=1e-12)
    assert ours.p_zero == pytest.approx(theirs.pvalue, rel=1e-9)
    assert paired_over_seeds(others, SCORES).value == -ours.value


def test_the_interval_covers_the_truth_95_times_in_100_and_alarms_5_times():
    draws = np.random.default_rng(0).normal(0.0, 0.3, size=(4_000, 5))
    scores = [over_seeds(row) for row in draws.tolist()]
    assert 0.94 < np.mean([one.low <= 0 <= one.high for one in scores]) < 0.96
    assert 0.04 < np.mean([one.p_zero < 0.05 for one in scores]) < 0.06
    # Not so for the normal distribution's 1.96, which five runs do not allow.
    normal = [abs(one.value) < 1.96 * one.sd / math.sqrt(5) for one in scores]
    assert np.mean(normal) < 0.92


def test_one_run_tells_nothing_about_chance():
    one = over_seeds([0.9])
    assert (one.value, one.n) == (0.9, 1)
    assert all(math.isnan(number) for number in (one.low, one.high, one.sd, one.p_zero))
    undefined = over_seeds([0.9, math.nan])
    assert math.isnan(undefined.value)
    assert math.isnan(undefined.low)


def test_equal_runs_have_an_interval_without_width():
    same = over_seeds([0.5, 0.5, 0.5])
    assert (same.low, same.high, same.p_zero) == (0.5, 0.5, 0.0)
    assert paired_over_seeds([0.5, 0.5], [0.5, 0.5]).p_zero == 1.0


def test_no_runs_and_unequal_runs_are_refused():
    with pytest.raises(ValueError, match="no runs"):
        over_seeds([])
    with pytest.raises(ValueError, match="2 runs cannot be paired with 3"):
        paired_over_seeds([0.1, 0.2], [0.1, 0.2, 0.3])


def hits(seed, rate, n=200):
    return np.random.default_rng(seed).random(n) < rate


def test_rows_of_single_runs_are_compared_as_by_the_paired_bootstrap():
    a, b = hits(1, 0.8), hits(2, 0.7)
    ours = difference_over_rows([share("accuracy", a)], [share("accuracy", b)], seed=3)
    theirs = paired_bootstrap(a, b, seed=3)
    assert (ours.value, ours.low, ours.high) == pytest.approx(
        (theirs.value, theirs.low, theirs.high)
    )
    assert ours.p_value == pytest.approx(theirs.p_value)


def test_the_runs_of_a_method_are_taken_together():
    a, b = (
        [hits(seed, rate) for seed in seeds] for seeds, rate in (((1, 2, 3), 0.8), ((4, 5), 0.7))
    )
    ours = difference_over_rows(
        [share("accuracy", one) for one in a], [share("accuracy", one) for one in b]
    )
    means = [np.mean(side, axis=0) for side in (a, b)]  # of each row, over the runs
    theirs = paired_bootstrap(*means)
    assert (ours.value, ours.low, ours.high) == pytest.approx(
        (theirs.value, theirs.low, theirs.high)
    )


def test_a_metric_that_is_no_mean_over_rows_is_scored_anew_for_each_choice_of_rows():
    truth = (np.arange(60) % 3).tolist()
    ours = [(np.array(truth) + hits(seed, 0.2, 60)) % 3 for seed in (1, 2)]
    theirs = [(np.array(truth) + hits(seed, 0.4, 60)) % 3 for seed in (3, 4)]
    sides = [[f1_macro_of(one, np.array(truth)) for one in side] for side in (ours, theirs)]
    found = difference_over_rows(*sides)
    plain = [np.mean([measure.plain() for measure in side]) for side in sides]
    assert found.value == pytest.approx(plain[0] - plain[1])
    assert found.low < found.value < found.high
    swapped = difference_over_rows(*sides[::-1])
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low))


def test_runs_on_other_rows_and_no_runs_are_refused():
    few, many = share("accuracy", hits(1, 0.5, 10)), share("accuracy", hits(1, 0.5, 11))
    with pytest.raises(ValueError, match="rows"):
        difference_over_rows([few], [many])
    with pytest.raises(ValueError, match="0 and 1 runs"):
        difference_over_rows([], [few])
