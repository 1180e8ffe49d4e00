"""What the training loop needs to know about a task, and nothing more."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from torch import Tensor, nn


@dataclass(frozen=True)
class StepLoss:
    """The loss of one micro-batch, as a sum: what is divided by is known only after the last one.

    Attributes:
        loss: Sum of the loss over ``weight`` units, a scalar with a gradient.
        weight: Number of units (target tokens, sentences ...), above 0.
        tokens: Number of tokens the model read, for the speed.
        sums: Further sums over the same units, such as ``nll`` or ``correct``; logged divided by
            the weight.
    """

    loss: Tensor
    weight: int | float
    tokens: int
    sums: dict[str, float] = field(default_factory=dict)


@runtime_checkable
class Objective(Protocol):
    """A model and what it is to learn.

    Attributes:
        model: The model; the parameters that need a gradient are trained.
        metric_for_best: Name of the metric by which two evaluations are compared.
        greater_is_better: Whether more of it is better.
    """

    model: nn.Module
    metric_for_best: str
    greater_is_better: bool

    def epoch(self, epoch: int) -> Sequence[Sequence[int]]:
        """Plans the batches of an epoch: a pure function, the same at every call.

        Args:
            epoch: Number of the epoch, from 0.

        Returns:
            The examples of each batch, at least one batch.
        """
        ...

    def loss(self, ids: Sequence[int]) -> StepLoss:
        """Computes the loss of one batch; random only through the model's dropout.

        Args:
            ids: The examples, as ``epoch`` named them.

        Returns:
            The sums over the batch.
        """
        ...

    def evaluate(self) -> dict[str, float]:
        """Scores the model as it is now on the validation data; called in evaluation mode.

        Returns:
            The metrics by name, ``metric_for_best`` among them.
        """
        ...
