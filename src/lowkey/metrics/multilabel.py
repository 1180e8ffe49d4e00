"""Metrics of rows that have any number of labels each."""

from collections.abc import Callable
from functools import partial

import numpy as np
from jaxtyping import Bool, Float

from lowkey.metrics.intervals import Values, Weights, row_count
from lowkey.metrics.measure import Measure, additive, share

Sets = Bool[np.ndarray, "rows labels"]
Scores = Float[np.ndarray, "rows labels"]


def multilabel_measures(
    predictions: Sets, references: Sets, scores: Scores | None = None
) -> dict[str, Measure]:
    """Measures sets of labels by the metrics that suit them.

    Args:
        predictions: Whether each label is predicted of each row.
        references: Whether it holds.
        scores: How sure the model is that it holds, if that is known: the order alone counts.

    Returns:
        f1_micro, f1_macro and exact_match, with scores also average_precision.

    Raises:
        ValueError: If there are no rows, or not as many references, or scores, as predictions.
    """
    measures = [
        f1_micro_of(predictions, references),
        multilabel_f1_macro_of(predictions, references),
        subset_accuracy_of(predictions, references),
    ]
    if scores is not None:
        measures.append(average_precision_of(scores, references))
    return {measure.name: measure for measure in measures}


def f1_micro_of(predictions: Sets, references: Sets) -> Measure:
    r"""Measures :math:`2 \cdot TP / (2 \cdot TP + FP + FN)` over all pairs of a row and a label.

    Args:
        predictions: Whether each label is predicted of each row.
        references: Whether it holds.

    Returns:
        The metric of any choice of the rows; undefined where no label holds or is predicted.

    Raises:
        ValueError: If there are no rows, or not as many references as predictions.
    """
    row_count("f1_micro", predictions, references)
    hits, either = (predictions & references).sum(1), predictions.sum(1) + references.sum(1)

    def of_sums(sums: Float[np.ndarray, "resamples counts"]) -> Values:
        return _ratio(2 * sums[:, 0], sums[:, 1])

    return additive("f1_micro", np.stack([hits, either], 1).astype(float), of_sums)


def multilabel_f1_macro_of(predictions: Sets, references: Sets) -> Measure:
    """Measures the mean over labels of the F1 of each.

    Every label that was predicted or true of a row counts the same, however rare.

    Args:
        predictions: Whether each label is predicted of each row.
        references: Whether it holds.

    Returns:
        The metric of any choice of the rows. In a resample, labels that were not drawn do not
        count.

    Raises:
        ValueError: If there are no rows, or not as many references as predictions.
    """
    n = row_count("f1_macro", predictions, references)
    hits = (predictions & references).astype(float)
    either = predictions.astype(float) + references

    def metric(weights: Weights) -> Values:
        return _mean_of_defined(_ratio(2 * (weights @ hits), weights @ either))

    return Measure("f1_macro", n, metric)


def subset_accuracy_of(predictions: Sets, references: Sets) -> Measure:
    """Measures the share of rows all of whose labels are right, none missing and none too many.

    Args:
        predictions: Whether each label is predicted of each row.
        references: Whether it holds.

    Returns:
        The metric of any choice of the rows.

    Raises:
        ValueError: If there are no rows, or not as many references as predictions.
    """
    row_count("exact_match", predictions, references)
    return share("exact_match", (predictions == references).all(1))


def average_precision_of(scores: Scores, references: Sets) -> Measure:
    r"""Measures the mean over labels of the average precision of each, whatever its threshold.

    With the rows in the order of their scores, from the highest on, it is

    .. math:: AP = \sum_k (R_k - R_{k-1}) P_k

    with recall and precision of the rows down to each different score. Labels that hold of no row
    do not count.

    Args:
        scores: How sure the model is that each label holds of each row.
        references: Whether it holds.

    Returns:
        The metric of any choice of the rows.

    Raises:
        ValueError: If there are no rows, or not as many references as scores.

    References:
        Manning, Raghavan and Schuetze, "Introduction to Information Retrieval", 2008, section 8.4.
    """
    n = row_count("average_precision", scores, references)
    labels = [_average_precision(*column) for column in zip(scores.T, references.T, strict=True)]

    def metric(weights: Weights) -> Values:
        return _mean_of_defined(np.stack([label(weights) for label in labels], 1))

    return Measure("average_precision", n, metric)


def _average_precision(
    scores: Float[np.ndarray, " rows"], references: Bool[np.ndarray, " rows"]
) -> Callable[[Weights], Values]:
    """Sorts the rows of one label once, for any weights."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(scores) - 1)
    return partial(_weighed_precision, order, ends, references[order])


def _weighed_precision(
    order: np.ndarray, ends: np.ndarray, true: Bool[np.ndarray, " rows"], weights: Weights
) -> Values:
    sorted_weights = weights[:, order]
    hits = np.cumsum(sorted_weights * true, axis=1)[:, ends]
    precision = _ratio(hits, np.cumsum(sorted_weights, axis=1)[:, ends], 0.0)
    gained = np.diff(hits, axis=1, prepend=0)
    return _ratio((gained * precision).sum(1), hits[:, -1])


def _ratio(part: np.ndarray, whole: np.ndarray, otherwise: float = np.nan) -> np.ndarray:
    """Divides; what is divided by 0 is undefined unless said otherwise."""
    return np.divide(part, whole, out=np.full_like(part, otherwise), where=whole > 0)


def _mean_of_defined(values: Float[np.ndarray, "resamples labels"]) -> Values:
    """Averages over the labels for which there is a value; undefined without any."""
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values, 0).sum(1), defined.sum(1).astype(float))
