"""What the adaptation of an encoder to raw text minimises: the surprise at masked tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch.nn.functional as F
from torch import nn

from lowkey.data.masked import MaskedExamples
from lowkey.experiments.config import FinetuneRecipe
from lowkey.experiments.splits import plan_epoch
from lowkey.pipelines.mask_filler import MaskFiller
from lowkey.training.objective import StepLoss


@dataclass
class MaskLearner:
    """The objective of a masked-language model: see ``lowkey.training.objective.Objective``.

    Attributes:
        classifier: The model with its tokenizer and facts.
        train: Training texts, masked anew in each epoch.
        validation: Texts that choose the best step, always under the same masks.
        recipe: How to batch.
    """

    classifier: MaskFiller
    train: MaskedExamples
    validation: MaskedExamples
    recipe: FinetuneRecipe

    def __post_init__(self) -> None:
        """Says what is trained, and by which metric two evaluations are compared."""
        self.model: nn.Module = self.classifier.model
        self.metric_for_best = "nll"
        self.greater_is_better = False

    def epoch(self, epoch: int) -> Sequence[Sequence[int]]:
        """Plans the batches of an epoch, the same for every method.

        Args:
            epoch: Number of the epoch, from 0.

        Returns:
            The texts of each batch, by numbers that tell the epoch too: it decides their masks.
        """
        plan = plan_epoch(self.train.lengths, self.recipe.train, epoch)
        return plan.numbered(partial(_in_epoch, epoch, len(self.train)))

    def loss(self, ids: Sequence[int]) -> StepLoss:
        """Computes cross-entropy over the masked tokens; no other token counts.

        Args:
            ids: The texts, by the numbers of ``epoch``.

        Returns:
            The sums over the masked tokens of the batch.
        """
        epoch, pieces = ids[0] // len(self.train), [number % len(self.train) for number in ids]
        seed = (self.recipe.train.seed, epoch)
        batch = self.train.batch(pieces, seed, self.classifier.device)
        logits = self.model(batch.input_ids, batch.layout, batch.rows)
        smoothing = self.recipe.train.label_smoothing_factor
        loss = F.cross_entropy(logits, batch.targets, reduction="sum", label_smoothing=smoothing)
        sums = {"accuracy": float((logits.argmax(1) == batch.targets).sum())}
        return StepLoss(loss, len(batch.targets), batch.layout.num_tokens, sums)

    def evaluate(self) -> dict[str, float]:
        """Scores the validation texts.

        Returns:
            nll, perplexity and accuracy.
        """
        measures = self.classifier.measures(self.validation)
        return {name: measure.plain() for name, measure in measures.items()}


def _in_epoch(epoch: int, count: int, pieces: Sequence[int]) -> list[int]:
    return [epoch * count + piece for piece in pieces]
