"""What a model of texts pays for its answers; in fp32, as the logits are."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Shaped
from torch import Tensor

from lowkey.data.label_sets import LabelSets
from lowkey.data.labelled import Truth
from lowkey.experiments.balance import Counts, balanced_weights, label_weights
from lowkey.experiments.encoder_config import EncoderTraining

Logits = Float[Tensor, "texts labels"]
TextLoss = Callable[[Logits, Tensor], tuple[Tensor, dict[str, float]]]
"""Sums the loss over the texts, and whatever is logged beside it."""


def squared_error(
    logits: Logits, numbers: Float[Tensor, " texts"]
) -> tuple[Float[Tensor, ""], dict[str, float]]:
    """Sums the squared error of a regression.

    Args:
        logits: One number for each text.
        numbers: The true ones.

    Returns:
        The sum, and nothing beside it.
    """
    return F.mse_loss(logits[:, 0], numbers, reduction="sum"), {}


def cross_entropy(
    *, smoothing: float, weights: Float32[np.ndarray, " labels"] | None = None
) -> TextLoss:
    """Makes the cross-entropy of one class for each text.

    Args:
        smoothing: Share of the target spread over all classes.
        weights: What a text of each class weighs; None for 1.

    Returns:
        The loss, with the number of texts whose class is right.
    """

    def loss(logits: Tensor, classes: Tensor) -> tuple[Tensor, dict[str, float]]:
        losses = F.cross_entropy(logits, classes, reduction="none", label_smoothing=smoothing)
        if weights is not None:
            # By the class of the text: torch's own weights would also weigh what smoothing gives
            # the other classes, above all those that no training row has.
            losses = losses * torch.from_numpy(weights).to(logits)[classes]
        return losses.sum(), {"accuracy": float((logits.argmax(1) == classes).sum())}

    return loss


def binary_cross_entropy(
    *, smoothing: float, weights: Float32[np.ndarray, "2 labels"] | None = None
) -> TextLoss:
    """Makes the cross-entropy of whether each label holds, the mean over the labels of a text.

    Args:
        smoothing: Share of the target spread over yes and no.
        weights: What a text weighs of which each label does not hold, and of which it does.

    Returns:
        The loss, with the number of texts all of whose labels are right.
    """

    def loss(
        logits: Tensor, holds: Shaped[Tensor, "texts labels"]
    ) -> tuple[Tensor, dict[str, float]]:
        target = holds * (1 - smoothing) + smoothing / 2
        each = None
        if weights is not None:
            without, having = torch.from_numpy(weights).to(logits)
            each = torch.where(holds > 0, having, without)
        total = F.binary_cross_entropy_with_logits(logits, target, weight=each, reduction="sum")
        right = ((logits >= 0) == (holds > 0)).all(1)
        return total / logits.shape[1], {"exact_match": float(right.sum())}

    return loss


def text_loss(truth: Truth, train: EncoderTraining, counts: Counts | None) -> TextLoss:
    """Chooses the loss for what is true of texts, or of words.

    Args:
        truth: What is true of the training rows.
        train: The section ``train`` of the recipe.
        counts: Rows of each class; None for numbers.

    Returns:
        The loss.
    """
    smoothing, balanced = train.label_smoothing_factor, train.class_weight == "balanced"
    if isinstance(truth, LabelSets):
        weights = label_weights(truth) if balanced else None
        return binary_cross_entropy(smoothing=smoothing, weights=weights)
    if counts is None:
        return squared_error
    weights = balanced_weights(counts) if balanced else None
    return cross_entropy(smoothing=smoothing, weights=weights)
