"""From summed gradients to the step: their mean, its norm, clipping, and whether all is finite."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from lowkey.errors import LowkeyError


class DivergedError(LowkeyError):
    """The loss, a gradient or a weight is not finite; nothing of it reached a checkpoint."""

    exit_code = 65


def normalise_and_clip(
    parameters: Mapping[str, nn.Parameter], weight: int | float, max_norm: int | float
) -> float:
    """Turns the gradient of a summed loss into that of the mean, no longer than ``max_norm``.

    A gradient that is not finite is left as it is, for the search of the culprit.

    Args:
        parameters: The parameters by name.
        weight: Number of units that were summed over, above 0.
        max_norm: Greatest norm of the whole gradient; 0 does not clip.

    Returns:
        The norm of the whole gradient of the mean, before clipping.
    """
    gradients = [p.grad for p in parameters.values() if p.grad is not None]
    norm = float(torch.nn.utils.get_total_norm(gradients)) / weight
    if math.isfinite(norm):
        scale = max_norm / norm if 0 < max_norm < norm else 1.0
        for gradient in gradients:
            gradient.mul_(scale / weight)
    return norm


def diverged(
    step: int,
    loss: float,
    parameters: Mapping[str, nn.Parameter],
    batches: Sequence[Sequence[int]],
) -> DivergedError:
    """Words the end of a run whose numbers ceased to be numbers.

    Args:
        step: Number of the update that was not made.
        loss: The loss that was to be reduced.
        parameters: The parameters by name, with their gradients.
        batches: The examples of the step.

    Returns:
        The error to raise.
    """
    what = "the gradient is not finite" if math.isfinite(loss) else f"the loss became {loss}"
    culprit = _first_not_finite(parameters)
    first = "" if culprit is None else f"first in the gradient of {culprit}; "
    ids = [example for batch in batches for example in batch]
    examples = ", ".join(map(str, ids[:8])) + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")
    return DivergedError(
        f"{what} at step {step} ({first}examples {examples}); the weights of step {step - 1} "
        "are in the last checkpoint, which holds none of it",
        fix="start anew with a lower train.learning_rate and another --out",
    )


def _first_not_finite(parameters: Mapping[str, nn.Parameter]) -> str | None:
    """Finds the first parameter whose gradient is not finite."""
    for name, parameter in parameters.items():
        if parameter.grad is not None and not torch.isfinite(parameter.grad).all():
            return name
    return None
