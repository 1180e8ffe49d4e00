"""Metrics of predicted numbers."""

from collections.abc import Sequence
from typing import SupportsFloat

import numpy as np
from jaxtyping import Float, Shaped

from lowkey.metrics.intervals import Score, Values, Weights, row_count
from lowkey.metrics.measure import Measure, sizes

Numbers = Sequence[SupportsFloat] | Shaped[np.ndarray, " rows"]
Rows = Float[np.ndarray, " rows"]


def mse(predictions: Numbers, references: Numbers) -> Score:
    """Returns the mean squared error.

    Args:
        predictions: The predicted number of each row.
        references: The true number of each row.

    Returns:
        The mean with its bootstrap interval.

    Raises:
        ValueError: If there are no rows, or not as many references as predictions.
    """
    return mse_of(predictions, references).score()


def mse_of(predictions: Numbers, references: Numbers) -> Measure:
    """Measures the mean squared error; see :func:`mse`.

    Args:
        predictions: The predicted number of each row.
        references: The true number of each row.

    Returns:
        The metric of any choice of the rows.

    Raises:
        ValueError: If there are no rows, or not as many references as predictions.
    """
    n = row_count("mse", predictions, references)
    x, y = _floats(predictions, references)
    errors = (x - y) ** 2
    return Measure("mse", n, lambda weights: weights @ errors / sizes(weights), errors)


def pearson(predictions: Numbers, references: Numbers) -> Score:
    """Returns the linear correlation of predicted and true numbers.

    Args:
        predictions: The predicted number of each row.
        references: The true number of each row.

    Returns:
        The correlation, -1 to 1, with its bootstrap interval. All NaN when predictions or
        references are constant: a correlation with a constant is undefined, not 0.

    Raises:
        ValueError: If there are no rows, or not as many references as predictions.
    """
    return pearson_of(predictions, references).score()


def pearson_of(predictions: Numbers, references: Numbers) -> Measure:
    """Measures the linear correlation; see :func:`pearson`.

    Args:
        predictions: The predicted number of each row.
        references: The true number of each row.

    Returns:
        The metric of any choice of the rows.

    Raises:
        ValueError: If there are no rows, or not as many references as predictions.
    """
    n = row_count("pearson", predictions, references)
    x, y = _floats(predictions, references)
    return Measure("pearson", n, lambda weights: _correlation(weights, x, y))


def spearman(predictions: Numbers, references: Numbers) -> Score:
    """Returns the correlation of the ranks of predicted and true numbers.

    Args:
        predictions: The predicted number of each row.
        references: The true number of each row.

    Returns:
        The correlation, -1 to 1, with its bootstrap interval (each resample is ranked
        anew). All NaN when predictions or references are constant.

    Raises:
        ValueError: If there are no rows, or not as many references as predictions.
    """
    return spearman_of(predictions, references).score()


def spearman_of(predictions: Numbers, references: Numbers) -> Measure:
    """Measures the correlation of ranks; see :func:`spearman`.

    Args:
        predictions: The predicted number of each row.
        references: The true number of each row.

    Returns:
        The metric of any choice of the rows.

    Raises:
        ValueError: If there are no rows, or not as many references as predictions.
    """
    n = row_count("spearman", predictions, references)
    x, y = _floats(predictions, references)

    def metric(weights: Weights) -> Values:
        return _correlation(weights, _ranks(weights, x), _ranks(weights, y))

    return Measure("spearman", n, metric)


def _floats(predictions: Numbers, references: Numbers) -> tuple[Rows, Rows]:
    return np.asarray(predictions, dtype=float), np.asarray(references, dtype=float)


def _correlation(weights: Weights, x: Rows | Weights, y: Rows | Weights) -> Values:
    """Returns the weighted correlation of each line; NaN where a variable is constant."""
    n = sizes(weights)[:, None]
    x = x - (weights * x).sum(axis=1, keepdims=True) / n
    y = y - (weights * y).sum(axis=1, keepdims=True) / n
    covariance, x_spread, y_spread = ((weights * p).sum(axis=1) for p in (x * y, x * x, y * y))
    # Rounding leaves a constant some spread, so constants are found by their equal ends.
    drawn = weights > 0
    constant = np.zeros(len(weights), dtype=bool)
    for values in (x, y):
        lowest = np.where(drawn, values, np.inf).min(axis=1)
        constant |= lowest == np.where(drawn, values, -np.inf).max(axis=1)
    return covariance / np.where(constant, np.nan, np.sqrt(x_spread * y_spread))


def _ranks(weights: Weights, values: Rows) -> Weights:
    """Returns each row's rank among the drawn ones, less a half; equal values share theirs."""
    _, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    drawn = np.add.reduceat(weights[:, order], starts, axis=1)
    ranks = (drawn.cumsum(axis=1) - drawn / 2)[:, group]
    return np.where(np.isnan(values), np.nan, ranks)
