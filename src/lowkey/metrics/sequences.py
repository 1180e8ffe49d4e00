"""Metrics of predicted token sequences, each against one or more allowed references."""

from collections.abc import Hashable, Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein

from lowkey.metrics.intervals import Score, bootstrapped, row_count, wilson

Tokens = Sequence[Hashable]


def exact_match(predictions: Sequence[Tokens], references: Sequence[Sequence[Tokens]]) -> Score:
    """Returns the share of rows that equal one of their references.

    Args:
        predictions: The predicted tokens (or text) of each row.
        references: What each row may be; at least one a row.

    Returns:
        The share with Wilson's interval.

    Raises:
        ValueError: If there are no rows, not as many references as predictions, or a row
            without a reference.
        TypeError: If a row's references are a bare string.
    """
    return wilson(_matches("exact_match", predictions, references), len(predictions))


def word_error_rate(predictions: Sequence[Tokens], references: Sequence[Sequence[Tokens]]) -> Score:
    """Returns the share of words whose pronunciation equals none of the allowed ones.

    One row is one word, as in the literature on pronunciation; in speech recognition the
    same name means edits per word of running text (see :func:`token_error_rate`).

    Args:
        predictions: The predicted tokens of each word.
        references: The allowed pronunciations of each word; at least one.

    Returns:
        The share with Wilson's interval.

    Raises:
        ValueError: If there are no rows, not as many references as predictions, or a row
            without a reference.
        TypeError: If a row's references are a bare string.
    """
    n = len(predictions)
    return wilson(n - _matches("word_error_rate", predictions, references), n)


def token_error_rate(
    predictions: Sequence[Tokens], references: Sequence[Sequence[Tokens]]
) -> Score:
    """Returns edits per reference token, over the closest allowed reference of each row.

    Insertions, deletions and replacements cost 1. Of equally close references the longest
    is taken. Edits and tokens are summed over the rows before the division.

    Args:
        predictions: The predicted tokens of each row.
        references: What each row may be; at least one a row.

    Returns:
        The rate, 0 or more, with its bootstrap interval.

    Raises:
        ValueError: If there are no rows, not as many references as predictions, a row
            without a reference, or no token in any reference.
        TypeError: If a row's references are a bare string.

    Example:
        >>> score = token_error_rate(["K AE T".split()], [["K AE T S".split(), ["K"]]])
        >>> score.value
        0.25
    """
    n = row_count("token_error_rate", predictions, references)
    check_allowed("token_error_rate", references)
    closest = [
        min((Levenshtein.distance(guess, one), -len(one)) for one in allowed)
        for guess, allowed in zip(predictions, references, strict=True)
    ]
    edits, lengths = np.array(closest, dtype=float).T
    if not lengths.any():
        raise ValueError("token_error_rate: no token in any reference")

    # A resample of empty references alone has no rate; NaN leaves it out.
    return bootstrapped(lambda w: w @ edits / np.where(w @ lengths, -(w @ lengths), np.nan), n)


def check_allowed(metric: str, references: Sequence[Sequence[Tokens]]) -> None:
    """Refuses rows without a reference, and a bare string where a list of them is due.

    Args:
        metric: Name of the metric, for the message.
        references: The allowed references of each row.

    Raises:
        ValueError: If a row has no reference.
        TypeError: If a row's references are a bare string, whose letters would each count
            as a reference.
    """
    for row, allowed in enumerate(references):
        if isinstance(allowed, str):
            raise TypeError(f"{metric}: the references of row {row} are a string, not a list")
        if not len(allowed):
            raise ValueError(f"{metric}: row {row} has no reference")


def _matches(
    metric: str, predictions: Sequence[Tokens], references: Sequence[Sequence[Tokens]]
) -> int:
    """Returns how many rows equal one of their references."""
    row_count(metric, predictions, references)
    check_allowed(metric, references)
    return sum(
        any(_same(guess, one) for one in allowed)
        for guess, allowed in zip(predictions, references, strict=True)
    )


def _same(a: Tokens, b: Tokens) -> bool:
    """Compares token by token, whether they stand in a list or a tuple."""
    return len(a) == len(b) and all(x == y for x, y in zip(a, b, strict=True))
