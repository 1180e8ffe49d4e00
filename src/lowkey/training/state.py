"""Where a run stands: all that, besides weights and optimizer, decides how it goes on."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lowkey.errors import DataError


class Window(BaseModel):
    """Sums over some steps: over one, or over all since the training loss was last logged.

    Attributes:
        steps: Number of steps.
        loss: Sum of the loss over all units.
        weight: Number of units.
        grad_norm: Sum of the norms of the gradient.
        sums: Further sums over all units.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    steps: int = 0
    loss: float = 0.0
    weight: float = 0.0
    grad_norm: float = 0.0
    sums: dict[str, float] = Field(default_factory=dict)

    def add(self, other: "Window") -> None:
        """Adds further steps.

        Args:
            other: Their sums.
        """
        self.steps += other.steps
        self.loss += other.loss
        self.weight += other.weight
        self.grad_norm += other.grad_norm
        for name, value in other.sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def is_finite(self) -> bool:
        """Tells whether no sum is NaN or infinite.

        Returns:
            Whether all are numbers.
        """
        return all(map(math.isfinite, (self.loss, self.grad_norm, *self.sums.values())))

    def means(self) -> dict[str, float]:
        """Gives what is logged: sums over units by the unit, the norm of the gradient by the step.

        Returns:
            ``loss``, each of the further sums, and ``grad_norm``.
        """
        means = {name: total / self.weight for name, total in self.sums.items()}
        loss, grad_norm = self.loss / self.weight, self.grad_norm / self.steps
        return {"loss": loss, **means, "grad_norm": grad_norm}


class TrainState(BaseModel):
    """The state of a run after ``step`` updates; a pure function of recipe, data and machine.

    Attributes:
        step: Updates made.
        epoch: The epoch now, from 0.
        batch: Batches of this epoch that lie behind.
        tokens: Tokens read in training.
        evaluated_step: Step of the last evaluation.
        window: What the next record of the training loss is made of.
        best_step: Step of the best evaluation.
        best_metrics: Its metrics, empty before the first.
        evaluations_without_gain: Evaluations since then.
        metrics_bytes: Length of the metrics file; what is behind it was lost with the process.
        fingerprint: The machine, as far as it decides the last bit.
        config_sha256: Hash of the recipe, without what may change.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    step: int = 0
    epoch: int = 0
    batch: int = 0
    tokens: int = 0
    evaluated_step: int = 0
    window: Window = Field(default_factory=Window)
    best_step: int = 0
    best_metrics: dict[str, float] = Field(default_factory=dict)
    evaluations_without_gain: int = 0
    metrics_bytes: int = 0
    fingerprint: dict[str, str | int] = Field(default_factory=dict)
    config_sha256: str = ""

    def note_evaluation(self, metrics: Mapping[str, float], *, best: bool) -> None:
        """Keeps what later evaluations are compared with.

        Args:
            metrics: The evaluation after the present step.
            best: Whether it is the best so far.
        """
        self.evaluated_step = self.step
        self.evaluations_without_gain += 1
        if best:
            # The state is saved as JSON, which has no NaN.
            self.best_metrics = {k: v for k, v in metrics.items() if math.isfinite(v)}
            self.best_step, self.evaluations_without_gain = self.step, 0


def parse_state(value: Any, where: Path) -> TrainState:
    """Checks the state that a checkpoint holds.

    Args:
        value: The content of ``state.json``.
        where: The file, for messages.

    Returns:
        The state.

    Raises:
        DataError: If it is not the state of a run.
    """
    try:
        return TrainState.model_validate(value)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        raise DataError(f"{key}: {problem['msg']}", where=str(where)) from None
