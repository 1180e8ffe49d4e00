"""Which of two evaluations is better."""

from collections.abc import Mapping
from dataclasses import dataclass

from lowkey.errors import ConfigError, did_you_mean
from lowkey.training.config import TrainConfig
from lowkey.training.objective import Objective

_SMALLER_IS_BETTER = ("loss", "nll", "perplexity", "error_rate", "mse")


@dataclass(frozen=True)
class Selection:
    """A metric and its direction.

    Attributes:
        metric: Name of the metric.
        greater_is_better: Whether more of it is better.
    """

    metric: str
    greater_is_better: bool

    @classmethod
    def of(cls, objective: Objective, config: TrainConfig) -> "Selection":
        """Takes the metric of the recipe or else the usual one of the task.

        Args:
            objective: The task.
            config: The recipe.

        Returns:
            The metric and its direction.
        """
        metric = config.metric_for_best_model or objective.metric_for_best
        greater = not metric.endswith(_SMALLER_IS_BETTER)
        if metric == objective.metric_for_best:
            greater = objective.greater_is_better
        if config.greater_is_better is not None:
            greater = config.greater_is_better
        return cls(metric, greater)

    def check(self, metrics: Mapping[str, float]) -> None:
        """Refuses a metric that the evaluation does not compute.

        Args:
            metrics: An evaluation.

        Raises:
            ConfigError: If the metric is not among them.
        """
        if self.metric not in metrics:
            near = did_you_mean(self.metric, metrics)
            choice = f"did you mean {near}?" if near else f"choose one of {', '.join(metrics)}"
            what = f'train.metric_for_best_model "{self.metric}" is never computed for this task'
            raise ConfigError(what, fix=choice)

    def prefers(self, new: Mapping[str, float], old: Mapping[str, float] | None) -> bool:
        """Tells whether an evaluation is better than the best before it; a draw is not better.

        Args:
            new: An evaluation.
            old: The best one so far, None if there is none.

        Returns:
            Whether the new one is better. One whose metric is no number never is, unless it is
            the first.
        """
        if not old or self.metric not in old:
            return True
        gain = new[self.metric] - old[self.metric]
        return gain > 0 if self.greater_is_better else gain < 0
