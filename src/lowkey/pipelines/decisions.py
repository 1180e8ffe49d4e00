"""What the logits of a text mean: a class, any number of labels, or a number."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Shaped

from lowkey.data.label_sets import LabelSets
from lowkey.data.labelled import Truth
from lowkey.metrics.classification import accuracy_of, f1_macro_of
from lowkey.metrics.measure import Measure
from lowkey.metrics.multilabel import multilabel_measures
from lowkey.metrics.regression import mse_of, pearson_of, spearman_of
from lowkey.pipelines.bundle import Facts

Logits = Float32[np.ndarray, "rows labels"]
Probabilities = Float[np.ndarray, "rows labels"]


class Decision(ABC):
    """Turns logits into answers.

    Args:
        facts: What the model was trained for.
    """

    problem_type: str
    """transformers' name of what is decided."""

    def __init__(self, facts: Facts):
        self.names = facts.labels
        calibration = facts.calibration
        self.temperature = calibration.temperature if calibration else 1.0
        self.thresholds = calibration.thresholds if calibration else []

    @abstractmethod
    def choose(self, logits: Logits) -> Shaped[np.ndarray, "rows ..."]:
        """Decides.

        Args:
            logits: One row for each text.

        Returns:
            What the model says of each text, in the form of what is true of it.
        """

    @abstractmethod
    def measures(self, logits: Logits, truth: Truth) -> dict[str, Measure]:
        """Measures how good the decisions are.

        Args:
            logits: One row for each text.
            truth: What is true of each.

        Returns:
            The metrics by name.
        """

    @abstractmethod
    def answers(self, logits: Logits) -> list[dict[str, Any]]:
        """Writes the decisions as a user reads them.

        Args:
            logits: One row for each text.

        Returns:
            One dictionary for each text.
        """

    @abstractmethod
    def outputs(self, logits: Logits) -> Sequence[Any]:
        """Writes the decisions in the form of the column ``label``.

        Args:
            logits: One row for each text.

        Returns:
            A name, a list of names or a number for each text.
        """


class Numbers(Decision):
    """A regression: the one logit is the number."""

    problem_type = "regression"

    def choose(self, logits: Logits) -> Float32[np.ndarray, " rows"]:
        """Takes the logit."""
        return logits[:, 0]

    def measures(self, logits: Logits, truth: Truth) -> dict[str, Measure]:
        """Gives mse, pearson and spearman."""
        assert isinstance(truth, np.ndarray), "a regression has numbers"
        return _by_name(
            [of(self.choose(logits), truth) for of in (mse_of, pearson_of, spearman_of)]
        )

    def answers(self, logits: Logits) -> list[dict[str, Any]]:
        """Gives the ``score``."""
        return [{"score": value} for value in self.outputs(logits)]

    def outputs(self, logits: Logits) -> list[float]:
        """Gives the numbers."""
        return self.choose(logits).tolist()


class Classes(Decision):
    """One of several classes: the likeliest, or of two the second from its threshold on."""

    problem_type = "single_label_classification"

    def probabilities(self, logits: Logits) -> Probabilities:
        """Turns logits into the probability of each class.

        Args:
            logits: One row for each text.

        Returns:
            Numbers that add up to 1 in each row.
        """
        return (torch.from_numpy(logits) / self.temperature).softmax(1).numpy()

    def choose(self, logits: Logits) -> Shaped[np.ndarray, " rows"]:
        """Gives the ids of the classes."""
        if self.thresholds:
            return (self.probabilities(logits)[:, 1] >= np.array(self.thresholds[0])).astype(int)
        return logits.argmax(1)

    def measures(self, logits: Logits, truth: Truth) -> dict[str, Measure]:
        """Gives accuracy and f1_macro."""
        assert isinstance(truth, np.ndarray), "each text has a class"
        guesses = self.choose(logits)
        return _by_name([of(guesses, truth) for of in (accuracy_of, f1_macro_of)])

    def answers(self, logits: Logits) -> list[dict[str, Any]]:
        """Gives the ``label``, and the probability of each in ``scores``."""
        rows = zip(self.outputs(logits), self.probabilities(logits).tolist(), strict=True)
        return [{"label": n, "scores": dict(zip(self.names, p, strict=True))} for n, p in rows]

    def outputs(self, logits: Logits) -> list[str]:
        """Gives the names of the classes."""
        return [self.names[i] for i in self.choose(logits)]


class SetsOfLabels(Decision):
    """Any number of labels: each that is likelier than not, or at its threshold."""

    problem_type = "multi_label_classification"

    def probabilities(self, logits: Logits) -> Probabilities:
        """Turns logits into the probability of each label.

        Args:
            logits: One row for each text.

        Returns:
            Numbers from 0 to 1, each by itself.
        """
        return (torch.from_numpy(logits) / self.temperature).sigmoid().numpy()

    def choose(self, logits: Logits) -> Shaped[np.ndarray, "rows labels"]:
        """Says which labels hold."""
        return self.probabilities(logits) >= np.array(self.thresholds or [0.5])

    def measures(self, logits: Logits, truth: Truth) -> dict[str, Measure]:
        """Gives f1_micro, f1_macro, exact_match and average_precision."""
        assert isinstance(truth, LabelSets), "each text has a set of labels"
        return multilabel_measures(self.choose(logits), truth.table, logits)

    def answers(self, logits: Logits) -> list[dict[str, Any]]:
        """Gives the ``labels``, and the probability of each in ``scores``."""
        rows = zip(self.outputs(logits), self.probabilities(logits).tolist(), strict=True)
        return [{"labels": n, "scores": dict(zip(self.names, p, strict=True))} for n, p in rows]

    def outputs(self, logits: Logits) -> list[list[str]]:
        """Gives the names of the labels."""
        return [[self.names[i] for i in np.flatnonzero(row)] for row in self.choose(logits)]


_KINDS: dict[str, type[Decision]] = {
    "regression": Numbers,
    "classification": Classes,
    "multilabel": SetsOfLabels,
}


def decision_of(facts: Facts) -> Decision:
    """Finds out what the logits of a model mean.

    Args:
        facts: What it was trained for.

    Returns:
        What turns its logits into answers.
    """
    return _KINDS[facts.kind](facts)


def _by_name(measures: list[Measure]) -> dict[str, Measure]:
    return {measure.name: measure for measure in measures}
