"""Exact match and F1 of answers to questions, as SQuAD counts them."""

import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from lowkey.metrics.intervals import Values, row_count
from lowkey.metrics.measure import Measure, additive, share

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def squad_measures(
    predictions: Sequence[str | None], references: Sequence[Sequence[str]]
) -> dict[str, Measure]:
    """Measures answers; of several references the one counts that fits best.

    Args:
        predictions: The answer to each question; None or nothing where it is said to have none.
        references: The right answers to each question; none where there is none.

    Returns:
        exact_match and f1; where some questions have an answer and some have none also
        answerable_f1, of the former, and unanswerable_accuracy, of the latter.

    Raises:
        ValueError: If there are no questions, or not as many references as predictions.

    References:
        Rajpurkar et al., "SQuAD", 2016, section 6.1; "Know What You Don't Know", 2018, section 5.

    Example:
        >>> measures = squad_measures(["the Nile", None], [["Nile", "river Nile"], []])
        >>> [(name, measure.score().value) for name, measure in measures.items()][:2]
        [('exact_match', 1.0), ('f1', 1.0)]
    """
    row_count("answers", predictions, references)
    pairs = list(zip((guess or "" for guess in predictions), references, strict=True))
    f1 = np.array([best_f1(guess, right) for guess, right in pairs])
    found = {
        "exact_match": share("exact_match", np.array([is_exact(*pair) for pair in pairs])),
        "f1": _mean("f1", f1, np.ones(len(f1))),
    }
    answerable = np.array([any(map(normalised, right)) for _, right in pairs])
    if answerable.any() and not answerable.all():
        for name, rows in (("answerable_f1", answerable), ("unanswerable_accuracy", ~answerable)):
            found[name] = _mean(name, f1, rows.astype(float))
    return found


def is_exact(prediction: str, references: Sequence[str]) -> bool:
    """Tells whether an answer is right but for case, punctuation, articles and white space.

    Args:
        prediction: The answer; empty for none.
        references: The right answers; none where there is none.

    Returns:
        Whether it equals one of them.
    """
    return normalised(prediction) in _normalised(references)


def best_f1(prediction: str, references: Sequence[str]) -> float:
    """Computes how much of an answer's words, and of a right answer's, they have in common.

    Args:
        prediction: The answer; empty for none.
        references: The right answers; none where there is none.

    Returns:
        F1 of the words against the reference that fits best, from 0 to 1.
    """
    words = normalised(prediction).split()
    return max(_overlap(words, right.split()) for right in _normalised(references))


def normalised(text: str) -> str:
    """Takes off an answer what does not count.

    Args:
        text: The answer.

    Returns:
        Its words in small letters, without punctuation and articles, a space between them.
    """
    plain = _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION))
    return " ".join(plain.split())


def _normalised(references: Sequence[str]) -> list[str]:
    """Normalises the right answers; those of which nothing is left do not count."""
    return [text for text in map(normalised, references) if text] or [""]


def _overlap(words: list[str], right: list[str]) -> float:
    if not words or not right:
        return float(words == right)
    common = (Counter(words) & Counter(right)).total()
    return 2 * common / (len(words) + len(right))


def _mean(
    name: str, values: Float[np.ndarray, " rows"], counted: Float[np.ndarray, " rows"]
) -> Measure:
    """Makes the mean of what some of the rows score; NaN where none of them is drawn."""

    def of_sums(sums: Float[np.ndarray, "resamples two"]) -> Values:
        return np.where(sums[:, 1] > 0, sums[:, 0] / np.maximum(sums[:, 1], 1), np.nan)

    return additive(name, np.stack([values * counted, counted], axis=1), of_sums)
