"""What a training run ends with."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FitResult:
    """What came of a run.

    Attributes:
        step: Updates made.
        epoch: Passes over the data, with the fraction of the last one.
        best: Metrics of the best evaluation; its weights are in the folder ``best``.
        best_step: Step of that evaluation.
        seconds: Time the run took, all its continuations together.
        train_tokens: Tokens read in training.
        peak_memory_mib: Most memory in use, in MiB.
        stopped_by: The key of the recipe that ended it, such as ``max_steps``.
    """

    step: int
    epoch: float
    best: dict[str, float]
    best_step: int
    seconds: float
    train_tokens: int
    peak_memory_mib: float
    stopped_by: str
