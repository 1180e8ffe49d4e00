"""Is one system better than another by a metric of the whole test set, such as BLEU?

Such a metric is no mean over rows, so each resample and each exchange of rows is scored anew.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lowkey.metrics.comparison import McNemar, mcnemar
from lowkey.metrics.intervals import CELLS_AT_ONCE, Values, Weights, resamples
from lowkey.metrics.measure import Measure, placed

NUM_EXCHANGES = 10_000
# Differences this much smaller than the scores are rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class PairedDifference:
    """How much one system scores above another on the same rows.

    Attributes:
        value: The difference of the scores.
        low: Lower end of its 95 % interval.
        high: Upper end of its 95 % interval.
        p_bootstrap: Two-sided: how often resampling alone moves the difference as far as it is
            from 0.
        p_randomization: Two-sided: how often systems that exchanged rows by chance differ as much.
        n: Rows.
        mcnemar: For a share of rows, the rows that only one of the systems has among its hits; a is
            the system, b the one it is compared with. None for any other metric.
    """

    value: float
    low: float
    high: float
    p_bootstrap: float
    p_randomization: float
    n: int
    mcnemar: McNemar | None = None


def paired_difference(
    measure: Measure, system: int, other: int, count: int = 2, *, seed: int = 0
) -> PairedDifference:
    """Compares two systems by any metric, with two tests that make no use of its form.

    The paired bootstrap draws rows with replacement, the same ones for both systems; its p value
    counts the resamples whose difference strays from the observed one at least as far as that is
    from 0. Approximate randomization exchanges the outputs of the two systems on a random half of
    the rows and counts how often they then differ at least as much as they do; where the rows are
    so few that all exchanges can be tried, all are, and the test is exact. One is added to both
    counts of a sampled test, so that no p value is 0.

    Args:
        measure: The metric of the rows of all systems, one system after the other.
        system: Number of the system, from 0.
        other: Number of the system it is compared with.
        count: How many systems there are; each has the same number of rows.
        seed: Chooses resamples and exchanges.

    Returns:
        The difference, system minus other. All NaN where the metric is undefined for one of them.

    References:
        Koehn, "Statistical Significance Tests for Machine Translation Evaluation", 2004.
        Riezler and Maxwell, "On Some Pitfalls in Automatic Evaluation and Significance Testing for
        MT", 2005.
    """
    n = measure.n // count

    def scores(of_system: Weights, of_other: Weights) -> tuple[Values, Values]:
        mixed = [
            placed(of_system, system, count) + placed(of_other, other, count),
            placed(of_other, system, count) + placed(of_system, other, count),
        ]
        return measure.value(mixed[0]), measure.value(mixed[1])

    ones = np.ones((1, n))
    ours, theirs = (float(score[0]) for score in scores(ones, 0 * ones))
    value = ours - theirs
    if math.isnan(value):
        return PairedDifference(math.nan, math.nan, math.nan, math.nan, math.nan, n)
    rounding = _ROUNDING * max(abs(ours), abs(theirs))
    drawn = np.concatenate([np.subtract(*scores(w, 0 * w)) for w in resamples(n, seed)])
    drawn = drawn[~np.isnan(drawn)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    strayed = np.abs(drawn - value) >= abs(value) - rounding
    exchanged = np.concatenate([np.subtract(*scores(w, 1 - w)) for w in _exchanges(n, seed)])
    exchanged = exchanged[~np.isnan(exchanged)]
    as_far = np.abs(exchanged) >= abs(value) - rounding
    exact = _has_few_exchanges(n)
    return PairedDifference(
        value,
        float(low),
        float(high),
        float((1 + strayed.sum()) / (1 + len(drawn))),
        float(as_far.mean() if exact else (1 + as_far.sum()) / (1 + len(exchanged))),
        n,
        _mcnemar(measure, system, other, n),
    )


def _has_few_exchanges(n: int) -> bool:
    return n < 63 and 2**n <= NUM_EXCHANGES


def _exchanges(n: int, seed: int) -> Iterator[Weights]:
    """Chooses the rows that a system keeps: all the ways there are, or some by chance."""
    if _has_few_exchanges(n):
        yield (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(float)
        return
    draw = np.random.default_rng([seed, 1])  # another stream than that of the resamples
    block = max(1, CELLS_AT_ONCE // n)
    for start in range(0, NUM_EXCHANGES, block):
        size = min(block, NUM_EXCHANGES - start)
        yield draw.integers(2, size=(size, n), dtype=np.int8).astype(float)


def _mcnemar(measure: Measure, system: int, other: int, n: int) -> McNemar | None:
    if measure.hits is None:
        return None
    hits = measure.hits.reshape(-1, n).tolist()
    return mcnemar(hits[system], hits[other])
