import math

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_rel

from lowkey.metrics.comparison import mcnemar, paired_bootstrap


def test_interval_and_p_value_agree_with_the_paired_t_test():
    draw = np.random.default_rng(0)
    for shift in (0.0, 0.05, 0.1, 0.2):
        b = draw.normal(size=500)
        a = b + shift + draw.normal(scale=0.8, size=500)
        ours, theirs = paired_bootstrap(a, b), ttest_rel(a, b)
        interval = theirs.confidence_interval()
        assert ours.value == pytest.approx((a - b).mean())
        assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high), abs=0.01)
        assert ours.p_value == pytest.approx(theirs.pvalue, abs=0.03)


def test_chance_alone_is_called_a_difference_about_5_times_in_100():
    draw = np.random.default_rng(0)
    p_values = [paired_bootstrap(*draw.normal(size=(2, 60))).p_value for _ in range(300)]
    assert 0.02 < np.mean(np.array(p_values) < 0.05) < 0.09


def test_pairing_matters():
    draw = np.random.default_rng(0)
    b = draw.normal(scale=10, size=100)
    a = b + draw.normal(0.5, 1, size=100)
    assert paired_bootstrap(a, b).p_value < 0.01 < paired_bootstrap(a, np.roll(b, 1)).p_value


def test_a_system_does_not_differ_from_itself():
    scores = [0.1, 0.7, 0.2]
    found = paired_bootstrap(scores, scores)
    assert (found.value, found.low, found.high, found.p_value, found.n) == (0, 0, 0, 1, 3)


def test_swapping_the_systems_swaps_the_sign():
    a, b = np.random.default_rng(0).normal(size=(2, 30))
    one, other = paired_bootstrap(a, b), paired_bootstrap(b, a)
    assert (one.value, one.low, one.p_value) == pytest.approx(
        (-other.value, -other.high, other.p_value)
    )


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (1, 0), (3, 9), (9, 3), (5, 5), (700, 800)])
def test_mcnemar_is_the_exact_binomial_test(only_a, only_b):
    a = [True] * only_a + [False] * only_b + [True, False]
    b = [False] * only_a + [True] * only_b + [True, False]
    found = mcnemar(a, b)
    assert (found.only_a, found.only_b) == (only_a, only_b)
    coins = only_a + only_b
    expected = binomtest(only_a, coins).pvalue if coins else 1.0
    assert found.p_value == pytest.approx(expected, rel=1e-9)


def test_mcnemar_by_hand():
    assert mcnemar([True] * 4, [False] * 4).p_value == 2 / 2**4
    one_each_way = mcnemar([True] * 5 + [False], [False] * 5 + [True])
    assert math.isclose(one_each_way.p_value, 2 * (1 + 6) / 2**6)


@pytest.mark.parametrize("test", [paired_bootstrap, mcnemar])
def test_rows_must_be_there_and_pair_up(test):
    with pytest.raises(ValueError, match=f"{test.__name__}: no rows"):
        test([], [])
    with pytest.raises(ValueError, match=f"{test.__name__}: 1 predictions for 2"):
        test([True], [True, False])
