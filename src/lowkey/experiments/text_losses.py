"""What a model of texts pays for its answers; in fp32, as the logits are."""

from collections.abc import Callable

import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor

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


def cross_entropy(*, smoothing: float) -> TextLoss:
    """Makes the cross-entropy of one class for each text.

    Args:
        smoothing: Share of the target spread over all classes.

    Returns:
        The loss, with the number of texts whose class is right.
    """

    def loss(logits: Tensor, classes: Tensor) -> tuple[Tensor, dict[str, float]]:
        total = F.cross_entropy(logits, classes, reduction="sum", label_smoothing=smoothing)
        return total, {"accuracy": float((logits.argmax(1) == classes).sum())}

    return loss


def binary_cross_entropy(*, smoothing: float) -> TextLoss:
    """Makes the cross-entropy of whether each label holds, the mean over the labels of a text.

    Args:
        smoothing: Share of the target spread over yes and no.

    Returns:
        The loss, with the number of texts all of whose labels are right.
    """

    def loss(
        logits: Tensor, holds: Shaped[Tensor, "texts labels"]
    ) -> tuple[Tensor, dict[str, float]]:
        target = holds * (1 - smoothing) + smoothing / 2
        total = F.binary_cross_entropy_with_logits(logits, target, reduction="sum")
        right = ((logits >= 0) == (holds > 0)).all(1)
        return total / logits.shape[1], {"exact_match": float(right.sum())}

    return loss
