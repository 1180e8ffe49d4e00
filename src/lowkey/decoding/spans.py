"""The best span of tokens of each window: where an answer begins and ends."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int64


class Spans(NamedTuple):
    """One span for each window.

    Attributes:
        first: The first token of each, counted over all windows.
        last: Its last token.
        scores: The sum of the scores of both; minus infinity where no token may be taken.
    """

    first: Int64[np.ndarray, " windows"]
    last: Int64[np.ndarray, " windows"]
    scores: Float[np.ndarray, " windows"]


def best_spans(
    scores: Float[np.ndarray, "tokens 2"],
    allowed: Bool[np.ndarray, " tokens"],
    lengths: Int64[np.ndarray, " windows"],
    max_tokens: int,
) -> Spans:
    r"""Maximises :math:`s_i + e_j` over :math:`i \le j < i + m` in each window.

    The search is exhaustive: all spans of one token, then of two, and so on. Of several best spans
    the first is taken, and of those that begin there the shortest.

    Args:
        scores: How well each token begins a span, and how well it ends one.
        allowed: The tokens a span may consist of.
        lengths: Tokens of each window, at least 1.
        max_tokens: The most tokens m of a span.

    Returns:
        The best span of each window.

    References:
        Devlin et al., "BERT", 2019, section 4.2.

    Example:
        >>> scores = np.array([[3.0, 0.0], [2.0, 1.0], [0.0, 2.0]])
        >>> spans = best_spans(scores, np.array([False, True, True]), np.array([3]), 2)
        >>> int(spans.first[0]), int(spans.last[0]), float(spans.scores[0])
        (1, 2, 4.0)
    """
    windows = np.repeat(np.arange(len(lengths)), lengths)
    begin, end = (np.where(allowed, scores[:, side].astype(np.float64), -np.inf) for side in (0, 1))
    best, extra = begin + end, np.zeros(len(begin), dtype=np.int64)
    for more in range(1, min(max_tokens, int(lengths.max()))):
        totals = np.full(len(begin), -np.inf)
        inside = windows[:-more] == windows[more:]
        totals[:-more][inside] = (begin[:-more] + end[more:])[inside]
        better = totals > best
        best[better], extra[better] = totals[better], more
    starts = np.cumsum(lengths) - lengths
    first = np.array(
        [s + best[s : s + n].argmax() for s, n in zip(starts, lengths, strict=True)], dtype=np.int64
    )
    return Spans(first, first + extra[first], best[first])
