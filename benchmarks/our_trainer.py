"""Our side of a comparison: lowkey's own training loop, with a clock where its progress goes."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from torch import nn

from benchmarks.clock import Cost, StepClock
from benchmarks.side_by_side import Window
from lowkey.run_folder import RunFolder
from lowkey.training.config import TrainConfig
from lowkey.training.objective import StepLoss
from lowkey.training.progress import Moment, Progress
from lowkey.training.trainer import Trainer


class WindowObjective:
    """An objective whose one epoch is a window; see ``lowkey.training.objective.Objective``.

    Args:
        model: What is trained.
        window: The batches.
        loss: Computes the loss of a batch.
    """

    metric_for_best = "loss"
    greater_is_better = False

    def __init__(self, model: nn.Module, window: Window, loss: Callable[[Sequence[int]], StepLoss]):
        self.model = model
        self.window = window
        self.loss = loss

    def epoch(self, epoch: int) -> Sequence[Sequence[int]]:
        """Gives the batches of the window, whatever the epoch."""
        return self.window.batches

    def evaluate(self) -> dict[str, float]:
        """Scores nothing: it is due after the last step, when the clock has stopped."""
        return {"loss": 0.0}


class _Ticking(Progress):
    """Reads the clock after each step; the loss has been computed by then."""

    def __init__(self) -> None:
        self.clock = StepClock()

    def step(self, moment: Moment, *, logged: bool) -> None:
        self.clock.tick()


class _NoLog:
    """Takes the numbers of a run and forgets them, as the rivals do."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        pass

    def offset(self) -> int:
        return 0

    def rewind(self, offset: int) -> None:
        pass


def train_config(window: Window, **options: float) -> TrainConfig:
    """Makes the recipe that trains on a window and does nothing else.

    Args:
        window: The batches.
        **options: Learning rate and the like.

    Returns:
        The recipe.
    """
    steps = len(window.batches)
    return TrainConfig(max_steps=steps, eval_steps=steps, logging_steps=500, **options)


def run_ours(
    model: nn.Module,
    window: Window,
    loss: Callable[[Sequence[int]], StepLoss],
    config: TrainConfig,
) -> Cost:
    """Trains a model on a window.

    Args:
        model: The model.
        window: The batches.
        loss: Computes the loss of a batch.
        config: The recipe of ``train_config``.

    Returns:
        What the steps cost, the first one not counted.
    """
    progress = _Ticking()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            WindowObjective(model, window, loss),
            config,
            RunFolder.create(Path(folder) / "run", resume=False),
            tracker=_NoLog(),
            progress=progress,
            save_best=lambda folder, metrics: None,
        )
        trainer.fit()
    return progress.clock.window(window.steps)
