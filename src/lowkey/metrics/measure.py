"""A metric before it becomes one number: what it gives for any choice of the rows.

Every question about a score is one about rows that count more or less often. Once each gives the
score; the counts of rows drawn with replacement give what it might have been on another test set.
Where the rows of several systems lie one after the other, ones for the rows of one system and
zeros for the rest give the score of that system, and a mixture gives that of a mixed one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from lowkey.metrics.intervals import Score, Values, Weights, bootstrapped, wilson


@dataclass(frozen=True, eq=False)
class Measure:
    """A metric of some rows, as a function of how often each of them counts.

    Attributes:
        name: Name of the metric.
        n: Rows.
        value: Maps row weights, one choice of rows a line, to one value a line.
        rows: What each row scores by itself; None for a metric that a single row has not, such as
            a correlation.
        hits: For a share of rows, which rows count; None for any other metric.
        signature: How it is computed, where the name alone does not say.
    """

    name: str
    n: int
    value: Callable[[Weights], Values]
    rows: Float[np.ndarray, " rows"] | None = None
    hits: Bool[np.ndarray, " rows"] | None = None
    signature: str = ""

    def score(self) -> Score:
        """Returns the metric of all rows, with its interval.

        Returns:
            Wilson's interval for a share of rows, that of the bootstrap for any other metric.
        """
        return self.part(0, 1)

    def plain(self) -> float:
        """Returns the metric of all rows alone, which costs little.

        Returns:
            The value of :meth:`score`.
        """
        return float(self.value(np.ones((1, self.n)))[0])

    def part(self, index: int, count: int) -> Score:
        """Returns the score of one of several systems whose rows lie one after the other.

        Args:
            index: Number of the system, from 0.
            count: How many systems there are; each has the same number of rows.

        Returns:
            The score of its rows, with its interval.
        """
        n = self.n // count
        if self.hits is not None:
            return wilson(int(self.hits[index * n : (index + 1) * n].sum()), n)
        return bootstrapped(
            lambda weights: self.value(placed(weights, index, count)), n, signature=self.signature
        )


def additive(
    name: str,
    statistics: Float[np.ndarray, "rows statistics"],
    of_sums: Callable[[Float[np.ndarray, "resamples statistics"]], Values],
    *,
    signature: str = "",
) -> Measure:
    """Makes a metric that is computed from sums of what was counted in each row.

    Args:
        name: Name of the metric.
        statistics: The counts of each row.
        of_sums: Maps sums of counts, one choice of rows a line, to one value a line.
        signature: See :class:`Measure`.

    Returns:
        The metric.
    """
    return Measure(
        name,
        len(statistics),
        lambda weights: of_sums(weights @ statistics),
        rows=of_sums(statistics),
        signature=signature,
    )


def share(name: str, hits: Bool[np.ndarray, " rows"]) -> Measure:
    """Makes the share of rows that count.

    Args:
        name: Name of the metric.
        hits: Which rows count.

    Returns:
        The metric.
    """
    counted = hits.astype(float)
    return Measure(
        name, len(hits), lambda weights: weights @ counted / sizes(weights), counted, hits
    )


def sizes(weights: Weights) -> Values:
    """Returns how many rows each choice of rows holds.

    Args:
        weights: How often each row counts, one choice of rows a line.

    Returns:
        The sum of each line.
    """
    return weights.sum(axis=1)


def placed(weights: Weights, index: int, count: int) -> Float[np.ndarray, "resamples rows_of_all"]:
    """Gives the rows of one system the weights, and those of all others none.

    Args:
        weights: How often each row of the test set counts.
        index: Number of the system, from 0.
        count: How many systems there are.

    Returns:
        Weights for the rows of all systems, one system after the other.
    """
    if count == 1:
        return weights
    n = weights.shape[1]
    wide = np.zeros((len(weights), n * count))
    wide[:, index * n : (index + 1) * n] = weights
    return wide
