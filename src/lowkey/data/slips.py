"""Finds where two lists that should match line by line slip out of step."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

_MOST_STEPS = 16
"""Up to so many missing lines may be missing in as many places; more of them in one only."""


def first_slip(sources: Sequence[str], targets: Sequence[str]) -> int:
    """Estimates the first line at which the longer list holds one without a counterpart.

    Sentences and their translations have similar lengths, up to a factor of the two languages.
    With the difference of the log lengths as the cost of matching two lines, this is the path of
    least cost on which the shift between the lists grows from zero to the number of missing lines.

    Args:
        sources: Texts of one list.
        targets: Texts of another, of different length.

    Returns:
        The line, from 1; one more than the shorter list has if the surplus stands at the end.

    References:
        Gale and Church, "A Program for Aligning Sentences in Bilingual Corpora", 1993: sentences
        are matched by their lengths alone.

    Example:
        >>> texts = ["a" * n for n in (3, 40, 7, 90, 15, 60)]
        >>> first_slip(texts, texts[:2] + texts[3:])
        3
    """
    longer, shorter = (sources, targets) if len(sources) > len(targets) else (targets, sources)
    long, short = _log_lengths(longer), _log_lengths(shorter)
    surplus, count = len(long) - len(short), len(short)
    # The factor between the languages, which no shift can move far.
    short = short + (np.median(long) - np.median(short))
    shifts = range(surplus + 1) if surplus <= _MOST_STEPS else (0, surplus)
    best = np.zeros(count + 1)
    turns = []
    for shift in shifts:
        cost = np.abs(long[shift : shift + count] - short)
        total = np.concatenate([[0.0], np.cumsum(cost)])
        if shift == 0:
            best = total
            continue
        # Least cost of the lines before each one if this shift begins at some line up to there.
        gain = best - total
        least = np.minimum.accumulate(gain)
        # Where it begins; the latest line among equals, so that no reason means no early slip.
        begins = np.maximum.accumulate(np.where(gain <= least, np.arange(count + 1), 0))
        turns.append(begins)
        best = total + least
    line = count
    for begins in reversed(turns):
        line = int(begins[line])
    return line + 1


def _log_lengths(texts: Sequence[str]) -> Float64[np.ndarray, " texts"]:
    """Computes the logarithm of each text's length in characters, plus one."""
    return np.log1p(np.fromiter(map(len, texts), dtype=np.float64, count=len(texts)))
