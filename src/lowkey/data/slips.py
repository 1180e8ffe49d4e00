"""Finds where two lists that should match line by line slip out of step."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int64

_MOST_STEPS = 16
"""Up to so many missing lines may be missing in as many places; more of them in one only."""

_SLIP = 3.0
"""What a slip costs, in differences of log lengths: without it every chance gain would be one."""


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
        >>> texts = ["a" * n for n in (3, 40, 7, 90, 15, 60, 5, 80)]
        >>> first_slip(texts, texts[:2] + texts[3:])
        3
    """
    longer, shorter = (sources, targets) if len(sources) > len(targets) else (targets, sources)
    long, short = _log_lengths(longer), _log_lengths(shorter)
    surplus, count = len(long) - len(short), len(short)
    # The factor between the languages, which no shift can move far.
    short = short + (np.median(long) - np.median(short))
    shifts = list(range(surplus + 1) if surplus <= _MOST_STEPS else (0, surplus))
    # Least cost of matching the first lines, over all ways that end in one of the shifts so far,
    # and which shift that is.
    least, last = np.full(count + 1, np.inf), np.zeros(count + 1, dtype=np.int64)
    begins: list[Int64[np.ndarray, " lines"]] = []
    came_from: list[Int64[np.ndarray, " lines"]] = []
    for number, shift in enumerate(shifts):
        own = np.concatenate([[0.0], np.cumsum(np.abs(long[shift : shift + count] - short))])
        # Where on the way this shift begins: at the line where changing to it costs least.
        change = least + _SLIP - own if number else np.where(np.arange(count + 1) == 0, 0.0, np.inf)
        cheapest = np.minimum.accumulate(change)
        begins.append(np.maximum.accumulate(np.where(change <= cheapest, np.arange(count + 1), 0)))
        came_from.append(last.copy())
        cost = own + cheapest
        last[cost < least] = number
        least = np.minimum(least, cost)
    line, number = count, int(last[count])
    while number:
        line = int(begins[number][line])
        number = int(came_from[number][line])
    return line + 1


def _log_lengths(texts: Sequence[str]) -> Float64[np.ndarray, " texts"]:
    """Computes the logarithm of each text's length in characters, plus one."""
    return np.log1p(np.fromiter(map(len, texts), dtype=np.float64, count=len(texts)))
