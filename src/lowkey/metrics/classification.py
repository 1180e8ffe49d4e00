"""Metrics of predicted classes."""

from collections.abc import Hashable, Sequence

import numpy as np
from jaxtyping import Float, Shaped

from lowkey.metrics.intervals import Score, Values, Weights, row_count
from lowkey.metrics.measure import Measure, share, sizes

Classes = Sequence[Hashable] | Shaped[np.ndarray, " rows"]


def accuracy(predictions: Classes, references: Classes) -> Score:
    """Returns the share of rows whose class is right.

    Args:
        predictions: The predicted class of each row.
        references: The true class of each row.

    Returns:
        The share with Wilson's interval.

    Raises:
        ValueError: If there are no rows, or not as many references as predictions.
    """
    return accuracy_of(predictions, references).score()


def accuracy_of(predictions: Classes, references: Classes) -> Measure:
    """Measures the share of rows whose class is right; see :func:`accuracy`.

    Args:
        predictions: The predicted class of each row.
        references: The true class of each row.

    Returns:
        The metric of any choice of the rows.

    Raises:
        ValueError: If there are no rows, or not as many references as predictions.
    """
    row_count("accuracy", predictions, references)
    return share("accuracy", np.asarray(predictions) == np.asarray(references))


def f1_macro(predictions: Classes, references: Classes) -> Score:
    r"""Returns the mean over classes of :math:`2 \cdot TP / (2 \cdot TP + FP + FN)`.

    Every class that was predicted or true counts the same, however rare.

    Args:
        predictions: The predicted class of each row.
        references: The true class of each row.

    Returns:
        The mean with its bootstrap interval. In a resample, classes that were not drawn do
        not count.

    Raises:
        ValueError: If there are no rows, or not as many references as predictions.
    """
    return f1_macro_of(predictions, references).score()


def f1_macro_of(predictions: Classes, references: Classes) -> Measure:
    """Measures the mean F1 over classes; see :func:`f1_macro`.

    Args:
        predictions: The predicted class of each row.
        references: The true class of each row.

    Returns:
        The metric of any choice of the rows.

    Raises:
        ValueError: If there are no rows, or not as many references as predictions.
    """
    n = row_count("f1_macro", predictions, references)
    hits, predicted, true = _one_hot(predictions, references)

    def metric(weights: Weights) -> Values:
        shown = weights @ predicted + weights @ true
        f1 = 2 * (weights @ hits) / np.maximum(shown, 1)
        return f1.sum(axis=1) / (shown > 0).sum(axis=1)

    return Measure("f1_macro", n, metric)


def matthews(predictions: Classes, references: Classes) -> Score:
    """Returns Matthews' correlation of predicted and true classes, of any number.

    It is 0 when all predictions, or all references, are one class: as in scikit-learn, such
    predictions are no better than chance.

    Args:
        predictions: The predicted class of each row.
        references: The true class of each row.

    Returns:
        The correlation, -1 to 1, with its bootstrap interval.

    Raises:
        ValueError: If there are no rows, or not as many references as predictions.

    References:
        Gorodkin, "Comparing two K-category assignments by a K-category correlation
        coefficient", 2004.
    """
    rows = row_count("matthews", predictions, references)
    hits, predicted, true = _one_hot(predictions, references)

    def metric(weights: Weights) -> Values:
        n = sizes(weights)
        shown, actual = weights @ predicted, weights @ true
        covariance = n * (weights @ hits).sum(axis=1) - (shown * actual).sum(axis=1)
        spread = (n * n - (shown**2).sum(axis=1)) * (n * n - (actual**2).sum(axis=1))
        return covariance / np.sqrt(np.where(spread > 0, spread, np.inf))

    return Measure("matthews", rows, metric).score()


def _one_hot(
    predictions: Classes, references: Classes
) -> tuple[Float[np.ndarray, "rows classes"], ...]:
    """Returns, per row and class: is it a hit, was it predicted, is it true."""
    predictions, references = np.asarray(predictions), np.asarray(references)
    classes = np.unique(np.concatenate([predictions, references]))
    predicted = (predictions[:, None] == classes).astype(float)
    true = (references[:, None] == classes).astype(float)
    return predicted * true, predicted, true
