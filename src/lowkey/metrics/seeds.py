"""What a method reaches when chance is drawn anew: the mean over seeds, with Student's interval.

The interval over rows of one run says what another test set might have given. This one says what
another run might have given on the same test set: a few runs differ by initial values, the order of
the rows and dropout, and their scores are taken for draws from a normal distribution.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from lowkey.metrics.comparison import Difference
from lowkey.metrics.intervals import Values, Weights, resamples
from lowkey.metrics.measure import Measure


@dataclass(frozen=True)
class SeedScore:
    """The mean of a few runs.

    Attributes:
        value: The mean; NaN if a run has no score.
        low: Lower end of the 95 % interval of the mean; NaN for a single run.
        high: Upper end of the 95 % interval of the mean; NaN for a single run.
        sd: Standard deviation of the runs, by n - 1; NaN for a single run.
        p_zero: Two-sided: how often runs with a mean of 0 stray as far from it. NaN for a single
            run; of use where the scores are differences.
        n: Runs.
    """

    value: float
    low: float
    high: float
    sd: float
    p_zero: float
    n: int


def over_seeds(scores: Sequence[float]) -> SeedScore:
    """Returns the mean of runs that differ in nothing but the seed.

    Args:
        scores: The score of each run.

    Returns:
        The mean with its interval by Student's t with n - 1 degrees of freedom.

    Raises:
        ValueError: If there are no runs.

    References:
        Student, "The probable error of a mean", 1908.

    Example:
        >>> score = over_seeds([0.90, 0.92, 0.91])
        >>> f"{score.value:.3f} ({score.low:.3f} to {score.high:.3f})"
        '0.910 (0.885 to 0.935)'
    """
    n = len(scores)
    if n < 1:
        raise ValueError("a mean of no runs is undefined")
    mean = float(np.mean(scores))
    if n == 1 or math.isnan(mean):
        return SeedScore(mean, math.nan, math.nan, math.nan, math.nan, n)
    sd = float(np.std(scores, ddof=1))
    half = float(stats.t.ppf(0.975, n - 1)) * sd / math.sqrt(n)
    if half == 0:
        p_zero = float(mean == 0)
    else:
        p_zero = float(2 * stats.t.sf(abs(mean) * math.sqrt(n) / sd, n - 1))
    return SeedScore(mean, mean - half, mean + half, sd, p_zero, n)


def paired_over_seeds(ours: Sequence[float], theirs: Sequence[float]) -> SeedScore:
    """Returns the mean difference of two methods that were run with the same seeds.

    A seed decides the order of the rows for both, so that what it does to both cancels out.

    Args:
        ours: The score of each run of one method.
        theirs: That of the run of the other method with the same seed.

    Returns:
        The mean of ours minus theirs.

    Raises:
        ValueError: If there are no runs, or not equally many.
    """
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} runs cannot be paired with {len(theirs)}")
    return over_seeds([a - b for a, b in zip(ours, theirs, strict=True)])


def difference_over_rows(
    ours: Sequence[Measure], theirs: Sequence[Measure], *, seed: int = 0
) -> Difference:
    """Compares two methods on the rows of one test set, the runs of each taken together.

    The runs stay what they are, and rows are drawn with replacement, the same ones for all runs:
    what another test set might have said of these runs.

    Args:
        ours: A metric of the rows, for each run of one method.
        theirs: The same metric of the same rows, for each run of the other.
        seed: Chooses the resamples.

    Returns:
        The mean score of ours minus that of theirs, with its percentile interval. Its p value
        counts the resamples whose difference strays from the observed one at least as far as that
        is from 0, plus one in both counts. All NaN where a run has no score.

    Raises:
        ValueError: If a method has no runs, or a run other rows.
    """
    sizes = {measure.n for measure in (*ours, *theirs)}
    if not ours or not theirs or len(sizes) > 1:
        raise ValueError(f"{len(ours)} and {len(theirs)} runs on sets of {sorted(sizes)} rows")
    n = sizes.pop()

    def difference(weights: Weights) -> Values:
        means = [
            np.mean([measure.value(weights) for measure in side], axis=0) for side in (ours, theirs)
        ]
        return means[0] - means[1]

    value = float(difference(np.ones((1, n)))[0])
    if math.isnan(value):
        return Difference(value, value, value, value, n)
    drawn = np.concatenate([difference(weights) for weights in resamples(n, seed)])
    drawn = drawn[~np.isnan(drawn)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    # The tolerance lets sums that differ by their rounding count as equal.
    strayed = np.abs(drawn - value) >= abs(value) - 1e-12
    p_value = float((1 + strayed.sum()) / (1 + len(drawn)))
    return Difference(value, float(low), float(high), p_value, n)
