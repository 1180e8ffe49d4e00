"""How far probabilities can be taken at their word, and where yes begins."""

import numpy as np
from jaxtyping import Bool, Float

NUM_BINS = 15
"""Bins of equal width, as in the paper."""


def expected_calibration_error(
    confidences: Float[np.ndarray, " answers"], hits: Bool[np.ndarray, " answers"]
) -> float:
    r"""Measures how far the confidence of answers is from the share of them that is right.

    .. math:: ECE = \sum_b \frac{n_b}{n} \left| acc(b) - conf(b) \right|

    over bins of equal width.

    Args:
        confidences: The probability given to each answer, 0 to 1.
        hits: Whether it is right.

    Returns:
        The error, 0 to 1.

    Raises:
        ValueError: If there are no answers.

    References:
        Guo et al., "On Calibration of Modern Neural Networks", 2017, equation 3.

    Example:
        >>> expected_calibration_error(np.array([0.9, 0.9]), np.array([True, False]))
        0.4
    """
    if not len(confidences):
        raise ValueError("the calibration of no answers is undefined")
    # A bin holds its upper end, as in the paper; 0 goes to the first.
    bins = np.clip(np.ceil(confidences * NUM_BINS).astype(int) - 1, 0, NUM_BINS - 1)
    gaps = np.bincount(bins, weights=hits - confidences.astype(float), minlength=NUM_BINS)
    return float(np.abs(gaps).sum() / len(confidences))


def best_threshold(
    probabilities: Float[np.ndarray, " rows"],
    references: Bool[np.ndarray, " rows"],
    *,
    both: bool = False,
) -> float:
    """Finds the probability from which on a yes gives the best F1.

    Args:
        probabilities: The probability of a yes for each row.
        references: Whether it is one.
        both: Whether the mean of the F1 of yes and of no is to be best, not that of yes alone.

    Returns:
        The middle between two neighbouring probabilities; of equally good ones that nearest to
        0.5. It is 0.5 where no row is a yes.
    """
    if not references.any():
        return 0.5
    order = np.argsort(-probabilities, kind="stable")
    ordered = probabilities[order].astype(float)
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    said, hits, n = ends + 1, np.cumsum(references[order])[ends], len(ordered)
    quality = 2 * hits / (said + references.sum())
    if both:
        silent, no = n - said, n - references.sum()
        right = no - (said - hits)
        quality = quality + 2 * right / np.maximum(silent + no, 1)
    below = np.append(ordered[ends[:-1] + 1], 0.0)
    thresholds = (ordered[ends] + below) / 2
    best = thresholds[np.isclose(quality, quality.max(), rtol=0, atol=1e-12)]
    return float(best[np.abs(best - 0.5).argmin()])
