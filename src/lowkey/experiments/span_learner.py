"""What fine-tuning minimises where answers are to be found in contexts."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from lowkey.data.questions import QuestionExamples
from lowkey.experiments.config import FinetuneRecipe
from lowkey.experiments.splits import plan_epoch
from lowkey.nn.ragged import mean_of_groups, ragged_log_softmax
from lowkey.pipelines.answerer import Answerer
from lowkey.training.objective import StepLoss


@dataclass
class SpanLearner:
    """The objective of a finder of answers: see ``lowkey.training.objective.Objective``.

    Attributes:
        classifier: The model with its tokenizer and facts.
        train: Training questions; each of their windows is an example.
        validation: Questions that choose the best step, and the threshold for no answer.
        recipe: How to batch.
    """

    classifier: Answerer
    train: QuestionExamples
    validation: QuestionExamples
    recipe: FinetuneRecipe

    def __post_init__(self) -> None:
        """Says what is trained, and by which metric two evaluations are compared."""
        self.model: nn.Module = self.classifier.model
        self.metric_for_best = "f1"
        self.greater_is_better = True
        assert self.train.answers is not None, "training questions have answers"
        self._some_have_none = not all(self.train.answers)

    def epoch(self, epoch: int) -> Sequence[Sequence[int]]:
        """Plans the batches of an epoch, the same for every method.

        Args:
            epoch: Number of the epoch, from 0.

        Returns:
            The windows of each batch.
        """
        return plan_epoch(self.train.lengths, self.recipe.train, epoch)

    def loss(self, ids: Sequence[int]) -> StepLoss:
        r"""Computes the cross-entropy of first and last token over the tokens of each window.

        .. math:: -\tfrac{1}{2} \left( \log p_{\text{first}}(i) + \log p_{\text{last}}(j) \right)

        In a window that does not hold the whole answer both are the begin token. Smoothing spreads
        its share over the tokens of the window.

        Args:
            ids: The windows.

        Returns:
            The sums over the windows.
        """
        batch = self.train.batch(ids, self.classifier.device)
        logits = self.model(batch.input_ids, batch.layout, batch.segment_ids)
        log_p, spans = ragged_log_softmax(logits, batch.layout), batch.spans
        assert spans is not None, "training windows have spans"
        rows = batch.layout.starts.unsqueeze(1) + spans
        losses = -(log_p[rows[:, 0], 0] + log_p[rows[:, 1], 1]) / 2
        smoothing = self.recipe.train.label_smoothing_factor
        if smoothing:
            means = mean_of_groups(log_p, batch.layout.sentence_ids, len(ids))
            losses = torch.lerp(losses, -means.mean(1), smoothing)
        return StepLoss(losses.sum(), len(ids), batch.layout.num_tokens)

    def evaluate(self) -> dict[str, float]:
        """Scores the validation questions, with the threshold for no answer that is best for them.

        Returns:
            The metrics of the task.
        """
        found = self.classifier.find(self.validation)
        if self._some_have_none:
            self.classifier.fit_threshold(self.validation, found)
        measures = self.classifier.measures(self.validation, found)
        return {name: measure.plain() for name, measure in measures.items()}
