import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import f1_score

from lowkey.metrics.calibration import NUM_BINS, best_threshold, expected_calibration_error

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("n", [1, 30, 2000])
def test_the_error_is_the_mean_gap_of_the_bins_of_scikit_learn(n):
    sure = RANDOM.random(n)
    hits = RANDOM.random(n) < sure**2
    share, confidence = calibration_curve(hits, sure, n_bins=NUM_BINS)
    sizes = np.histogram(sure, np.linspace(0, 1, NUM_BINS + 1))[0]
    expected = (np.abs(share - confidence) * sizes[sizes > 0]).sum() / n
    assert expected_calibration_error(sure, hits) == pytest.approx(expected, abs=1e-12)


def test_honest_probabilities_have_almost_none_and_proud_ones_much():
    sure = RANDOM.random(20_000)
    hits = RANDOM.random(20_000) < sure
    assert expected_calibration_error(sure, hits) < 0.02
    assert expected_calibration_error(np.sqrt(sure), hits) > 0.1
    # Both ends of the scale belong to a bin.
    assert expected_calibration_error(np.array([0.0, 1.0]), np.array([True, True])) == 0.5
    with pytest.raises(ValueError, match="the calibration of no answers"):
        expected_calibration_error(sure[:0], hits[:0])


def quality(threshold, sure, true, both):
    average = "macro" if both else "binary"
    return f1_score(true, sure >= threshold, average=average, zero_division=0, labels=[0, 1])


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_no_threshold_is_better(seed, both):
    random = np.random.default_rng(seed)
    true = random.random(25) < 0.3
    true[0] = True
    sure = np.round(np.clip(0.3 * true + 0.6 * random.random(25), 0, 1), 2)
    found = best_threshold(sure, true, both=both)
    best = max(quality(one, sure, true, both) for one in (0, *(np.unique(sure) - 1e-6)))
    assert quality(found, sure, true, both) == pytest.approx(best, abs=1e-12)
    assert 0 <= found <= 1
    # It stands between two rows, as far from either as it can.
    assert np.abs(sure - found).min() > 1e-6 or found == 0


def test_equally_good_ones_are_decided_by_nearness_to_one_half():
    sure, true = np.array([0.9, 0.8, 0.1]), np.array([True, True, False])
    assert best_threshold(sure, true) == pytest.approx(0.45)
    # F1 is 2 / 3 at 0.85 and at 0.3.
    tied = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, False, True])
    assert best_threshold(*tied) == pytest.approx(0.3)
    assert best_threshold(sure, np.zeros(3, dtype=bool)) == 0.5
    # Without an order there is nothing to find: everybody is a yes.
    assert best_threshold(np.full(3, 0.7), true) == pytest.approx(0.35)


def test_a_bin_holds_its_upper_end():
    """0.2 and 0.4 stand on edges; with 0.15 and 0.35 they lie in the bins that end there."""
    assert NUM_BINS == 15
    sure, hits = np.array([0.15, 0.2, 0.35, 0.4]), np.array([False, True, True, False])
    gaps = [abs(1 - 0.15 - 0.2), abs(1 - 0.35 - 0.4)]
    assert expected_calibration_error(sure, hits) == pytest.approx(sum(gaps) / 4)
