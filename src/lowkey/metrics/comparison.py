"""Is one system better than another, scored on the same rows?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lowkey.metrics.intervals import resamples, row_count
from lowkey.metrics.regression import Numbers


@dataclass(frozen=True)
class Difference:
    """How much system A scores above system B.

    Attributes:
        value: Mean difference of the row scores, A minus B.
        low: Lower end of the 95 % interval.
        high: Upper end of the 95 % interval.
        p_value: Two-sided: how often chance alone would give a difference this large.
        n: Rows.
    """

    value: float
    low: float
    high: float
    p_value: float
    n: int


@dataclass(frozen=True)
class McNemar:
    """The rows on which two classifiers disagree.

    Attributes:
        only_a: Rows that A alone has right.
        only_b: Rows that B alone has right.
        p_value: Two-sided: how often chance alone would split them as unevenly.
    """

    only_a: int
    only_b: int
    p_value: float


def paired_bootstrap(a: Numbers, b: Numbers, *, seed: int = 0) -> Difference:
    """Compares the mean scores of two systems, resampling rows for both at once.

    Args:
        a: The score of each row under system A (1 for a right answer, an error, ...).
        b: The score of the same row under system B.
        seed: Chooses the resamples.

    Returns:
        The mean difference with its percentile interval. Its p value counts the resamples
        whose difference strays from the observed one at least as far as that is from 0,
        plus one in both counts, so that it is never 0.

    Raises:
        ValueError: If there are no rows, or the systems have not equally many.

    References:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 16.
    """
    n = row_count("paired_bootstrap", a, b)
    differences = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    value = float(differences.mean())
    resampled = np.concatenate([weights @ differences / n for weights in resamples(n, seed)])
    low, high = np.percentile(resampled, [2.5, 97.5])
    # The tolerance lets sums that differ by their rounding count as equal.
    strayed = np.abs(resampled - value) >= abs(value) - 1e-12 * np.abs(differences).max()
    p_value = (1 + strayed.sum()) / (1 + len(resampled))
    return Difference(value, float(low), float(high), float(p_value), n)


def mcnemar(a_correct: Sequence[bool], b_correct: Sequence[bool]) -> McNemar:
    """Tests exactly whether two classifiers are right equally often.

    Rows on which both are right, or both wrong, say nothing. Of the others each is a fair
    coin if the classifiers are equally good.

    Args:
        a_correct: Whether classifier A has each row right.
        b_correct: Whether classifier B has the same row right.

    Returns:
        The two counts and the exact binomial p value.

    Raises:
        ValueError: If there are no rows, or the classifiers have not equally many.

    References:
        McNemar, "Note on the sampling error of the difference between correlated proportions
        or percentages", 1947.
    """
    row_count("mcnemar", a_correct, b_correct)
    a, b = np.asarray(a_correct, dtype=bool), np.asarray(b_correct, dtype=bool)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    num_coins, fewer = only_a + only_b, min(only_a, only_b)
    ways, tail = 1, 0
    for heads in range(fewer + 1):
        tail += ways
        ways = ways * (num_coins - heads) // (heads + 1)
    return McNemar(only_a, only_b, min(1.0, 2 * tail / 2**num_coins))
