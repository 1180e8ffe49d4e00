"""Metrics of a model that guesses masked tokens; intervals come from drawing whole texts."""

import numpy as np
from jaxtyping import Float

from lowkey.metrics.intervals import Values
from lowkey.metrics.measure import Measure, additive


def masked_measures(counts: Float[np.ndarray, "texts 3"]) -> dict[str, Measure]:
    r"""Measures guesses of masked tokens.

    Args:
        counts: For each text the sum of the negative log-likelihoods of its masked tokens, how many
            of them were guessed right, and how many there are.

    Returns:
        nll, the mean per token; perplexity, its exponential; and accuracy, the share of tokens.

    Example:
        >>> counts = np.array([[1.0, 2, 4], [5.0, 0, 2]])
        >>> {name: round(m.score().value, 3) for name, m in masked_measures(counts).items()}
        {'nll': 1.0, 'perplexity': 2.718, 'accuracy': 0.333}
    """
    return {
        "nll": additive("nll", counts, lambda sums: _per_token(sums, 0)),
        "perplexity": additive(
            "perplexity", counts, lambda sums: _exponential(_per_token(sums, 0))
        ),
        "accuracy": additive("accuracy", counts, lambda sums: _per_token(sums, 1)),
    }


def _per_token(sums: Float[np.ndarray, "resamples 3"], column: int) -> Values:
    """Divides by the number of tokens; a text without any has no value."""
    with np.errstate(invalid="ignore"):
        return sums[:, column] / sums[:, 2]


def _exponential(nll: Values) -> Values:
    return np.exp(np.minimum(nll, 700.0))
