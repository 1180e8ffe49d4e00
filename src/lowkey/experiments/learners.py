"""What fine-tuning minimises, of texts and of words; the batches are the same for every method."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from lowkey.data.label_sets import LabelSets
from lowkey.data.labelled import LabelledExamples
from lowkey.data.sampling import balanced_sample
from lowkey.data.tagged import TaggedExamples
from lowkey.errors import DataError
from lowkey.experiments.balance import counts_of, is_skewed, note_on_skew
from lowkey.experiments.config import FinetuneRecipe
from lowkey.experiments.mask_learner import MaskLearner
from lowkey.experiments.span_learner import SpanLearner
from lowkey.experiments.splits import Splits, plan_epoch
from lowkey.experiments.text_losses import text_loss
from lowkey.metrics.entities import entities, marks_entities
from lowkey.nn.ragged import mean_of_groups
from lowkey.pipelines.answerer import Answerer
from lowkey.pipelines.classifier import TextClassifier
from lowkey.pipelines.mask_filler import MaskFiller
from lowkey.pipelines.tagger import Tagger
from lowkey.training.objective import StepLoss

_USUAL_METRICS = {"regression": "mse", "classification": "f1_macro", "multilabel": "f1_micro"}


@dataclass
class Learner:
    """The objective of a fine-tuning: see ``lowkey.training.objective.Objective``.

    Attributes:
        classifier: The model with its tokenizer, labels and facts.
        train: Training examples.
        validation: Examples that choose the best step.
        recipe: How to batch.
    """

    classifier: TextClassifier
    train: LabelledExamples
    validation: LabelledExamples
    recipe: FinetuneRecipe

    def __post_init__(self) -> None:
        """Says what is trained, and by which metric two evaluations are compared.

        Raises:
            DataError: If that metric is undefined for want of labels.
        """
        self.model: nn.Module = self.classifier.model
        kind, train = self.classifier.facts.kind, self.recipe.train
        self.metric_for_best = _USUAL_METRICS[kind]
        self.greater_is_better = kind != "regression"
        given = self.train.labels
        assert given is not None, "training examples have labels"
        self.counts = counts_of(given, len(self.classifier.facts.labels))
        if self.counts is not None and is_skewed(self.counts):
            self.metric_for_best = "f1_macro"
        self.loss_of = text_loss(given, train, self.counts)
        truth = self.validation.labels
        if isinstance(truth, LabelSets) and not len(truth.ids.values):
            raise DataError(
                f"no validation row has a label, so that {self.metric_for_best} is undefined",
                fix="give other rows for data.validation",
            )

    def epoch(self, epoch: int) -> Sequence[Sequence[int]]:
        """Plans the batches of an epoch, the same for every method.

        Args:
            epoch: Number of the epoch, from 0.

        Returns:
            The examples of each batch.
        """
        train, lengths = self.recipe.train, self.train.lengths
        if train.sampling == "uniform":
            return plan_epoch(lengths, train, epoch)
        classes = self.train.labels
        assert isinstance(classes, np.ndarray), "each text has a class"
        drawn = balanced_sample(classes, seed=train.seed, epoch=epoch)
        plan = plan_epoch(lengths[drawn], train, epoch)
        return plan.numbered(lambda places: drawn[places].tolist())

    def loss(self, ids: Sequence[int]) -> StepLoss:
        """Computes cross-entropy over the classes or of each label, or a squared error.

        Args:
            ids: The examples.

        Returns:
            The sums over the batch.
        """
        batch = self.train.batch(ids, self.classifier.device)
        logits = self.model(batch.input_ids, batch.layout, batch.segment_ids)
        if batch.owners is not None:
            logits = mean_of_groups(logits, batch.owners, len(ids))
        labels = batch.labels
        assert labels is not None, "training examples have labels"
        loss, sums = self.loss_of(logits, labels)
        return StepLoss(loss, len(ids), batch.layout.num_tokens, sums)

    def evaluate(self) -> dict[str, float]:
        """Scores the validation examples.

        Returns:
            The metrics of the task.
        """
        measures = self.classifier.measures(self.validation)
        return {name: measure.plain() for name, measure in measures.items()}


@dataclass
class TagLearner:
    """The objective of a tagger: see ``lowkey.training.objective.Objective``.

    Attributes:
        classifier: The model with its tokenizer, tags and facts.
        train: Training sentences.
        validation: Sentences that choose the best step.
        recipe: How to batch.
    """

    classifier: Tagger
    train: TaggedExamples
    validation: TaggedExamples
    recipe: FinetuneRecipe

    def __post_init__(self) -> None:
        """Says what is trained, and by which metric two evaluations are compared.

        Raises:
            DataError: If that metric is undefined for want of entities.
        """
        self.model: nn.Module = self.classifier.model
        names = self.classifier.facts.labels
        spans = marks_entities(names)
        self.metric_for_best = "entity_f1" if spans else "f1_macro"
        self.greater_is_better = True
        chosen = self.recipe.train.metric_for_best_model or self.metric_for_best
        tags, given = self.validation.tags, self.train.tags
        assert tags is not None, "validation sentences have tags"
        assert given is not None, "training sentences have tags"
        counts = np.bincount(given.values, minlength=len(names))
        self.loss_of = text_loss(given.values.astype(np.int64), self.recipe.train, counts)
        if spans and chosen != "accuracy" and not entities([names[i] for i in tags.values]):
            raise DataError(
                f"no validation sentence holds an entity, so that {chosen} is undefined",
                fix="give other rows, or set train.metric_for_best_model: accuracy",
            )

    def epoch(self, epoch: int) -> Sequence[Sequence[int]]:
        """Plans the batches of an epoch, the same for every method.

        Args:
            epoch: Number of the epoch, from 0.

        Returns:
            The sentences of each batch.
        """
        return plan_epoch(self.train.lengths, self.recipe.train, epoch)

    def loss(self, ids: Sequence[int]) -> StepLoss:
        """Computes cross-entropy over the first sub-words of the words; no other token counts.

        Args:
            ids: The sentences.

        Returns:
            The sums over the words of the batch.
        """
        batch = self.train.batch(ids, self.classifier.device)
        logits = self.model(batch.input_ids, batch.layout, batch.first)
        tags = batch.tags
        assert tags is not None, "training sentences have tags"
        loss, sums = self.loss_of(logits, tags)
        return StepLoss(loss, len(tags), batch.layout.num_tokens, sums)

    def evaluate(self) -> dict[str, float]:
        """Scores the validation sentences.

        Returns:
            The metrics of the task.
        """
        measures = self.classifier.measures(self.validation)
        return {name: measure.plain() for name, measure in measures.items()}


def learner_of(
    pipeline: TextClassifier | Tagger | Answerer | MaskFiller,
    splits: Splits,
    recipe: FinetuneRecipe,
    say: Callable[[str], None],
) -> Learner | TagLearner | SpanLearner | MaskLearner:
    """Tokenizes the rows of a task and says what of them is not read.

    Args:
        pipeline: The model.
        splits: The rows.
        recipe: What to do.
        say: Takes a line for the user.

    Returns:
        What the trainer is to train.

    Raises:
        DataError: If a row is not what the model reads, a label is none of those known, or a text
            is too long and is to be refused.
    """
    # What is wrong with test rows must not come out when the training is over.
    named = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    rows = {name: part for name, part in named.items() if part}
    if isinstance(pipeline, Tagger):
        tagged = {name: pipeline.examples(part) for name, part in rows.items()}
        for name, part in tagged.items():
            for note in part.notes(name):
                say(note)
        return TagLearner(pipeline, tagged["train"], tagged["validation"], recipe)
    if isinstance(pipeline, Answerer):
        asked = {name: pipeline.examples(part) for name, part in rows.items()}
        for name, part in asked.items():
            for note in part.notes(name, pipeline.facts.max_answer_length):
                say(note)
        return SpanLearner(pipeline, asked["train"], asked["validation"], recipe)
    if isinstance(pipeline, MaskFiller):
        masks = {"train": recipe.mlm}  # others are masked as models are compared
        texts = {name: pipeline.examples(part, masks.get(name)) for name, part in rows.items()}
        for name, part in texts.items():
            for note in part.notes(name, pipeline.facts.max_length or 0):
                say(note)
        return MaskLearner(pipeline, texts["train"], texts["validation"], recipe)
    labelled = {name: pipeline.examples(part) for name, part in rows.items()}
    learner = Learner(pipeline, labelled["train"], labelled["validation"], recipe)
    if learner.counts is not None and is_skewed(learner.counts):
        names, metric, count = pipeline.facts.labels, learner.metric_for_best, len(splits.train)
        say(note_on_skew(names, learner.counts, count, recipe.train, metric))
    for name, part in labelled.items():
        for note in part.notes(name):
            say(note)
    return learner
