"""A score with its 95 % interval, and the two ways to get one.

A share of rows gets Wilson's interval. Any other metric is written as a function of how often
each row counts: once each gives the score, and the counts of rows drawn with replacement give
what the score might have been on another test set (the percentile bootstrap).
"""

import math
from collections.abc import Callable, Iterator, Sized
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Float

Z = NormalDist().inv_cdf(0.975)
NUM_RESAMPLES = 1000
# Resamples are drawn in blocks, so that a large test set does not need gigabytes.
CELLS_AT_ONCE = 1 << 22

Weights = Float[np.ndarray, "resamples rows"]
Values = Float[np.ndarray, " resamples"]


@dataclass(frozen=True)
class Score:
    """One number about a test set.

    Attributes:
        value: The score; NaN where it is undefined.
        low: Lower end of the 95 % interval.
        high: Upper end of the 95 % interval.
        n: Rows it was computed from.
        signature: How it was computed, where the name alone does not say (BLEU, chrF).
    """

    value: float
    low: float
    high: float
    n: int
    signature: str = ""


def wilson(successes: int, n: int) -> Score:
    """Returns a share of rows with Wilson's interval.

    Args:
        successes: Rows that count, 0 to ``n``.
        n: Rows in all.

    Returns:
        The share, in 0 to 1.

    Raises:
        ValueError: If there are no rows.

    References:
        Wilson, "Probable inference, the law of succession, and statistical inference", 1927.

    Example:
        >>> score = wilson(9, 10)
        >>> f"{score.value:.2f} ({score.low:.2f} to {score.high:.2f})"
        '0.90 (0.60 to 0.98)'
    """
    if n < 1:
        raise ValueError("a share of no rows is undefined")
    share = successes / n
    centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    # At 0 and n the ends are 0 and 1 but for rounding.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return Score(share, low, high, n)


def bootstrapped(
    metric: Callable[[Weights], Values], n: int, *, seed: int = 0, signature: str = ""
) -> Score:
    """Returns a metric with its percentile bootstrap interval over rows.

    Resamples in which the metric is undefined are left out. Where all rows score alike the
    interval has no width: resampling cannot see what was never seen.

    Args:
        metric: Maps row weights, one set of rows a line, to one value a line.
        n: Rows of the test set.
        seed: Chooses the resamples; the same for every metric, so that they are comparable.
        signature: See :class:`Score`.

    Returns:
        The metric with every row counted once, and its interval. NaN has a NaN interval.
    """
    value = float(metric(np.ones((1, n)))[0])
    if math.isnan(value):
        return Score(value, math.nan, math.nan, n, signature)
    resampled = np.concatenate([metric(weights) for weights in resamples(n, seed)])
    low, high = np.nanpercentile(resampled, [2.5, 97.5])
    return Score(value, float(low), float(high), n, signature)


def resamples(n: int, seed: int) -> Iterator[Weights]:
    """Draws test sets with replacement, as counts of rows.

    Args:
        n: Rows of the test set, and of each resample.
        seed: Chooses the resamples.

    Yields:
        Blocks of resamples: how often each row was drawn.
    """
    draw = np.random.default_rng(seed)
    block = max(1, CELLS_AT_ONCE // n)
    for start in range(0, NUM_RESAMPLES, block):
        size = min(block, NUM_RESAMPLES - start)
        rows = draw.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
        yield np.bincount(rows.ravel(), minlength=size * n).reshape(size, n).astype(float)


def row_count(metric: str, predictions: Sized, references: Sized) -> int:
    """Returns how many rows there are to score.

    Args:
        metric: Name of the metric, for the message.
        predictions: One per row.
        references: One per row.

    Returns:
        The number of rows, at least 1.

    Raises:
        ValueError: If there are none, or not as many references as predictions.
    """
    if len(predictions) != len(references):
        raise ValueError(
            f"{metric}: {len(predictions)} predictions for {len(references)} references"
        )
    if not len(predictions):
        raise ValueError(f"{metric}: no rows to score")
    return len(predictions)
