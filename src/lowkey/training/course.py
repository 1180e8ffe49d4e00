"""How far a run is to go, where it stands on its way, and the learning rate there."""

import math

from lowkey.training.config import TrainConfig
from lowkey.training.objective import Objective
from lowkey.training.pace import Pace
from lowkey.training.progress import Moment
from lowkey.training.schedule import Schedule
from lowkey.training.state import TrainState


class Course:
    """The way from the first step of a run to its last.

    Args:
        config: How long to train and how the learning rate is to move.
        objective: Where the number of batches comes from.

    Attributes:
        total_steps: Updates of the whole run, unless something ends it earlier.
        pace: Its clock.

    Raises:
        ConfigError: If the warm-up is longer than the run.
    """

    def __init__(self, config: TrainConfig, objective: Objective):
        self.config = config
        self.total_steps = config.max_steps or _steps_of_all_epochs(config, objective)
        self.schedule = Schedule(config.lr_scheduler_type, config.warmup_steps, self.total_steps)
        self.pace = Pace()

    def begin(self, step: int, seconds: float) -> None:
        """Starts the clock.

        Args:
            step: Updates made before.
            seconds: Time they took.
        """
        self.pace = Pace(seconds)
        self.pace.share_before = self.share(step)

    def time_share(self) -> float:
        """Measures how much of the time budget is used up.

        Returns:
            The share, in [0, 1]; 0 without a budget.
        """
        budget = self.config.time_budget
        return min(1.0, self.pace.seconds() / budget) if budget else 0.0

    def share(self, step: int) -> float:
        """Measures how much of the run lies behind, by steps or by time, whichever is more.

        Args:
            step: Updates made.

        Returns:
            The share, in [0, 1].
        """
        return min(1.0, max(step / self.total_steps, self.time_share()))

    def learning_rate(self, step: int) -> float:
        """Gives the rate of one update.

        Args:
            step: Number of the update, from 1.

        Returns:
            The rate.
        """
        return self.config.learning_rate * self.schedule.factor(step, self.time_share())

    def ended_by(self, state: TrainState) -> str | None:
        """Tells whether the run is at its end.

        Args:
            state: Where the run stands.

        Returns:
            The key of the recipe that ends it, None if it is to go on.
        """
        patience = self.config.early_stopping_patience
        if state.step >= self.total_steps:
            return "max_steps" if self.config.max_steps else "num_train_epochs"
        if patience and state.evaluations_without_gain >= patience:
            return "early_stopping_patience"
        return "time_budget" if self.time_share() >= 1 else None

    def moment(self, state: TrainState) -> Moment:
        """Describes where the run stands, for people.

        Args:
            state: The same, with at least one step in its window.

        Returns:
            Step, loss, speed and time left.
        """
        share = self.share(state.step)
        return Moment(
            step=state.step,
            total=self.total_steps,
            share=share,
            loss=state.window.loss / state.window.weight,
            tokens_per_second=self.pace.tokens_per_second(),
            seconds_left=self.pace.seconds_left(share),
        )


def _steps_of_all_epochs(config: TrainConfig, objective: Objective) -> int:
    """Counts the steps; epochs need not have the same number of batches."""
    size = config.gradient_accumulation_steps
    epochs = range(config.num_train_epochs)
    return sum(math.ceil(len(objective.epoch(epoch)) / size) for epoch in epochs)
