"""Classes of which some are rare: how to tell, what to say, and how much each is to weigh."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int64

from lowkey.data.label_sets import LabelSets
from lowkey.data.labelled import Truth
from lowkey.errors import shown
from lowkey.experiments.encoder_config import EncoderTraining

Counts = Int64[np.ndarray, " classes"]


def counts_of(truth: Truth, num_labels: int) -> Counts | None:
    """Counts the rows of each class, or those of which each label holds.

    Args:
        truth: What is true of each row.
        num_labels: How many classes or labels there are.

    Returns:
        The counts; None for numbers.
    """
    if isinstance(truth, LabelSets):
        return truth.counts
    return None if truth.dtype.kind == "f" else np.bincount(truth, minlength=num_labels)


def is_skewed(counts: Counts) -> bool:
    """Says whether a class is so rare that the share of right answers says little of it.

    Args:
        counts: Rows of each class.

    Returns:
        Whether the rarest class has less than half of its equal share.

    Example:
        >>> is_skewed(np.array([30, 70])), is_skewed(np.array([20, 80]))
        (False, True)
    """
    return bool(2 * counts.min() < counts.mean())


def note_on_skew(
    names: Sequence[str], counts: Counts, num_rows: int, train: EncoderTraining, metric: str
) -> str:
    """Says that classes are skewed, and what that means for the run.

    Args:
        names: The names of the classes.
        counts: Training rows of each.
        num_rows: Training rows.
        train: The section ``train`` of the recipe.
        metric: The metric that chooses the best step, unless the recipe names one.

    Returns:
        One line.
    """
    rarest, usual = int(counts.argmin()), int(counts.argmax())
    chosen = train.metric_for_best_model or metric
    reason = ", in which all count alike" if chosen == "f1_macro" else ", as asked for"
    balanced = (train.class_weight, train.sampling) != ("none", "uniform")
    way_out = "" if balanced else "; train.class_weight: balanced lets rare ones weigh as much"
    return (
        f"note: the labels are skewed ({shown(names[rarest])} {counts[rarest] / num_rows:.1%},"
        f" {shown(names[usual])} {counts[usual] / num_rows:.1%} of the rows); the best step is"
        f" chosen by {chosen}{reason}{way_out}"
    )


def balanced_weights(counts: Counts) -> Float32[np.ndarray, " classes"]:
    """Computes the weights with which all classes weigh the same together.

    A class of n_k out of n rows gets n / (K n_k), as scikit-learn's "balanced" has it.

    Args:
        counts: Rows of each of K classes.

    Returns:
        The weight of a row of each class; over all rows they are 1 on average.

    References:
        King and Zeng, "Logistic Regression in Rare Events Data", 2001.

    Example:
        >>> balanced_weights(np.array([30, 10])).round(3).tolist()
        [0.6669999957084656, 2.0]
    """
    # A class that only held-out rows have is never looked up: rows are weighed by their own.
    weights = counts.sum() / (len(counts) * np.maximum(counts, 1))
    return weights.astype(np.float32)


def label_weights(sets: LabelSets) -> Float32[np.ndarray, "2 labels"]:
    """Computes balanced weights for each label by itself: of the rows without and with it.

    Args:
        sets: The labels of the training rows.

    Returns:
        The weights where a label does not hold, and where it does.
    """
    held = sets.counts
    both = np.stack([len(sets) - held, held], 1)
    return np.stack([balanced_weights(one) for one in both], 1)
