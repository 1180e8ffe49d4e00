"""A fine-tuned encoder on strings: labels with probabilities, or numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from lowkey.data.batching import plan_evaluation_batches
from lowkey.data.labelled import LabelledExamples
from lowkey.data.rows import Rows
from lowkey.errors import DataError
from lowkey.hf.bert import load_classifier, save_classifier
from lowkey.hf.encoder_families import FAMILIES, EncoderNames
from lowkey.metrics.classification import accuracy, f1_macro
from lowkey.metrics.intervals import Score
from lowkey.metrics.regression import mse, pearson, spearman
from lowkey.models.config import EncoderFamily
from lowkey.models.heads import SequenceClassifier
from lowkey.nn.ragged import mean_of_groups
from lowkey.pipelines.encoder_pipeline import EncoderPipeline

# Large enough that matrix products dominate, small enough for a laptop's memory.
BATCH_TOKENS = 8192


class TextClassifier(EncoderPipeline[SequenceClassifier, LabelledExamples]):
    """A classifier (or regressor) with its tokenizer and its labels."""

    @staticmethod
    def load_model(
        folder: Path, num_labels: int, *, generator: torch.Generator | None = None
    ) -> SequenceClassifier:
        """Loads the network; see :func:`lowkey.hf.bert.load_classifier`.

        Args:
            folder: A Hugging Face folder.
            num_labels: Outputs of the head.
            generator: Draws what is missing.

        Returns:
            The network.
        """
        return load_classifier(folder, num_labels, generator=generator)

    @staticmethod
    def names(family: EncoderFamily) -> EncoderNames:
        """Names the modules of the network as other libraries do.

        Args:
            family: The family of its encoder.

        Returns:
            The names.
        """
        return FAMILIES[family]

    def save_whole(self, folder: Path) -> None:
        """Writes the whole network as a folder that transformers loads; adapters must be merged.

        Args:
            folder: An existing folder.

        Raises:
            CannotWriteError: If a file cannot be written.
        """
        regression = self.facts.kind == "regression"
        save_classifier(
            self.model,
            folder,
            labels=self.facts.labels or ["score"],
            problem_type="regression" if regression else "single_label_classification",
        )

    def examples(self, rows: Rows) -> LabelledExamples:
        """Tokenizes labelled rows as the model wants them.

        Args:
            rows: Rows with text and label.

        Returns:
            The examples.

        Raises:
            DataError: If a label is none of the classes, if the model wants pairs and gets texts,
                or the other way round, or if a text is too long and is to be refused.
        """
        self.refuse_unpaired("text_pair" in rows.columns, rows.place)
        return LabelledExamples.from_rows(rows, self.tokenizer, self.labels, fit=self.facts.fit)

    def examples_of(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        *,
        places: Sequence[str] | None = None,
    ) -> LabelledExamples:
        """Tokenizes texts as the model wants them.

        Args:
            texts: The texts.
            pairs: The second text of each, if the model was trained on pairs.
            places: How messages call each text; None counts them from 1.

        Returns:
            The examples, without labels.

        Raises:
            DataError: If the model wants pairs and gets texts, or the other way round, or if a text
                is longer than a model reads that was trained to refuse it.
        """
        self.refuse_unpaired(pairs is not None)
        return LabelledExamples.from_texts(
            texts, pairs, self.tokenizer, fit=self.facts.fit, places=places
        )

    @torch.inference_mode()
    def logits(self, examples: LabelledExamples) -> Float32[np.ndarray, "examples labels"]:
        """Scores examples, similar lengths together, and gives them back in their order.

        The logits of a text that is read in windows are the mean of theirs.

        Args:
            examples: Tokenized texts.

        Returns:
            One row of logits per example.
        """
        training = self.model.training
        self.model.eval()
        windows = examples.apart()
        output = torch.empty(len(windows), self.model.classifier.out_features)
        for ids in plan_evaluation_batches(windows.lengths, BATCH_TOKENS):
            batch = windows.batch(ids, self.device)
            output[ids] = self.model(batch.input_ids, batch.layout, batch.segment_ids).cpu()
        self.model.train(training)
        if examples.windows is not None:
            output = mean_of_groups(output, torch.from_numpy(examples.owners), len(examples))
        return output.numpy()

    def score(self, examples: LabelledExamples) -> dict[str, Score]:
        """Measures how good the model is.

        Args:
            examples: Examples with labels.

        Returns:
            accuracy and f1_macro; for a regression mse, pearson and spearman.
        """
        logits, labels = self.logits(examples), examples.labels
        assert labels is not None, "scoring needs labels"
        if self.labels is None:
            numbers = logits[:, 0]
            return {f.__name__: f(numbers, labels) for f in (mse, pearson, spearman)}
        guesses = logits.argmax(1)
        return {f.__name__: f(guesses, labels) for f in (accuracy, f1_macro)}

    def predict(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        """Predicts, in the order of the texts.

        Args:
            texts: The texts.
            pairs: The second text of each, if the model was trained on pairs.

        Returns:
            ``{"label", "scores": {name: probability}}`` for each; ``{"score"}`` for a regression.

        Raises:
            DataError: If the model wants pairs and gets texts, or the other way round, or if a text
                is longer than a model reads that was trained to refuse it.
        """
        return self.answers(self.logits(self.examples_of(texts, pairs))) if texts else []

    def answers(self, logits: Float32[np.ndarray, "examples labels"]) -> list[dict[str, Any]]:
        """Says in words what logits mean.

        Args:
            logits: One row per example.

        Returns:
            See :meth:`predict`.
        """
        rows = torch.from_numpy(logits)
        if self.labels is None:
            return [{"score": value} for value in rows[:, 0].tolist()]
        return [self._answer(row) for row in rows.softmax(1)]

    def refuse_unpaired(self, paired: bool, place: str | None = None) -> None:
        """Makes sure that the model gets pairs if it was trained on them, and only then.

        Args:
            paired: Whether it gets pairs.
            place: Where the texts stand, for messages.

        Raises:
            DataError: If it wants the other.
        """
        if paired != self.facts.pairs:
            raise DataError(
                f"this model was trained on {'single texts' if paired else 'pairs of texts'}",
                where=place,
                fix=None if paired else 'give JSONL with "text" and "text_pair"',
            )

    def _answer(self, probabilities: Tensor) -> dict[str, Any]:
        names = self.facts.labels
        scores = dict(zip(names, probabilities.tolist(), strict=True))
        return {"label": names[int(probabilities.argmax())], "scores": scores}
