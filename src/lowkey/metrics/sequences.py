"""Metrics of predicted token sequences, each against one or more allowed references."""

from collections.abc import Hashable, Sequence

import numpy as np
from jaxtyping import Bool
from rapidfuzz.distance import Levenshtein

from lowkey.metrics.intervals import Score, row_count
from lowkey.metrics.measure import Measure, additive, share

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
    return exact_match_of(predictions, references).score()


def exact_match_of(
    predictions: Sequence[Tokens], references: Sequence[Sequence[Tokens]]
) -> Measure:
    """Measures the share of rows that equal a reference; see :func:`exact_match`.

    Args:
        predictions: The predicted tokens of each row.
        references: What each row may be; at least one a row.

    Returns:
        The metric of any choice of the rows.

    Raises:
        ValueError: If there are no rows, not as many references as predictions, or a row
            without a reference.
        TypeError: If a row's references are a bare string.
    """
    return share("exact_match", _matches("exact_match", predictions, references))


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
    return word_error_rate_of(predictions, references).score()


def word_error_rate_of(
    predictions: Sequence[Tokens], references: Sequence[Sequence[Tokens]]
) -> Measure:
    """Measures the share of words that are wrong; see :func:`word_error_rate`.

    Args:
        predictions: The predicted tokens of each row.
        references: What each row may be; at least one a row.

    Returns:
        The metric of any choice of the rows.

    Raises:
        ValueError: If there are no rows, not as many references as predictions, or a row
            without a reference.
        TypeError: If a row's references are a bare string.
    """
    return share("word_error_rate", ~_matches("word_error_rate", predictions, references))


def token_error_rate(
    predictions: Sequence[Tokens], references: Sequence[Sequence[Tokens]]
) -> Score:
    """Returns edits per reference token, over the closest allowed reference of each row.

    Where the tokens are phonemes this is the phoneme error rate (PER), where they are letters the
    character error rate, and where they are the words of running text the word error rate of
    speech recognition (see :func:`word_error_rate` for that of pronunciation).

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
    return token_error_rate_of(predictions, references).score()


def token_error_rate_of(
    predictions: Sequence[Tokens], references: Sequence[Sequence[Tokens]]
) -> Measure:
    """Measures edits per reference token; see :func:`token_error_rate`.

    Args:
        predictions: The predicted tokens of each row.
        references: What each row may be; at least one a row.

    Returns:
        The metric of any choice of the rows.

    Raises:
        ValueError: If there are no rows, not as many references as predictions, a row
            without a reference, or no token in any reference.
        TypeError: If a row's references are a bare string.
    """
    row_count("token_error_rate", predictions, references)
    check_allowed("token_error_rate", references)
    closest = [
        min((Levenshtein.distance(guess, one), -len(one)) for one in allowed)
        for guess, allowed in zip(predictions, references, strict=True)
    ]
    edits_and_lengths = np.array(closest, dtype=float) * [1, -1]
    if not edits_and_lengths[:, 1].any():
        raise ValueError("token_error_rate: no token in any reference")
    # A choice of empty references alone has no rate; NaN leaves it out.
    return additive(
        "token_error_rate",
        edits_and_lengths,
        lambda sums: sums[:, 0] / np.where(sums[:, 1], sums[:, 1], np.nan),
    )


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
) -> Bool[np.ndarray, " rows"]:
    """Tells which rows equal one of their references."""
    row_count(metric, predictions, references)
    check_allowed(metric, references)
    found = [
        any(_same(guess, one) for one in allowed)
        for guess, allowed in zip(predictions, references, strict=True)
    ]
    return np.array(found)


def _same(a: Tokens, b: Tokens) -> bool:
    """Compares token by token, whether they stand in a list or a tuple."""
    return len(a) == len(b) and all(x == y for x, y in zip(a, b, strict=True))
