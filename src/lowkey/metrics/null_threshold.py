"""From which margin on a question is said to have no answer, chosen on data with the truth."""

import numpy as np
from jaxtyping import Float


def best_threshold(
    margins: Float[np.ndarray, " questions"],
    answered: Float[np.ndarray, " questions"],
    unanswered: Float[np.ndarray, " questions"],
) -> float:
    """Finds the threshold with the highest score; a question whose margin is above gets no answer.

    Args:
        margins: How much likelier no answer is than the best one, for each question.
        answered: What each question scores with its best answer.
        unanswered: What it scores without one.

    Returns:
        The threshold, between two margins; of several the lowest. Beyond the outermost margins it
        is one away from them.

    References:
        Devlin et al., "BERT", 2019, section 4.3.

    Example:
        >>> margins, found, absent = np.array([-2.0, 3.0]), np.array([1.0, 0.0]), np.array([0.0, 1])
        >>> best_threshold(margins, found, absent)
        0.5
    """
    order = np.argsort(margins, kind="stable")
    sorted_margins = margins[order].astype(np.float64)
    gains = (answered - unanswered)[order]
    # By how many questions, those with the lowest margins, are answered.
    totals = np.insert(np.cumsum(gains), 0, 0.0)
    ends = np.concatenate([[sorted_margins[0] - 2], sorted_margins, [sorted_margins[-1] + 2]])
    # Questions of one margin cannot be told apart.
    possible = ends[1:] > ends[:-1]
    best = int(np.argmax(np.where(possible, totals, -np.inf)))
    return float((ends[best] + ends[best + 1]) / 2)
