"""A fine-tuned encoder on strings: a label or several with probabilities, or numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from lowkey.data.batching import plan_evaluation_batches
from lowkey.data.labelled import LabelledExamples
from lowkey.data.rows import Rows
from lowkey.errors import DataError
from lowkey.hf.bert import load_classifier, save_classifier, save_encoder
from lowkey.hf.encoder_families import FAMILIES, EncoderNames
from lowkey.hf.pooled import load_pooled, pooled_names
from lowkey.metrics.measure import Measure
from lowkey.models.config import EncoderFamily, Pooling
from lowkey.models.heads import SequenceClassifier
from lowkey.nn.ragged import mean_of_groups
from lowkey.pipelines.bundle import Facts
from lowkey.pipelines.decisions import Decision, decision_of
from lowkey.pipelines.encoder_pipeline import BATCH_TOKENS, EncoderPipeline
from lowkey.pipelines.head import save_head


class TextClassifier(EncoderPipeline[SequenceClassifier, LabelledExamples]):
    """A classifier (or regressor) with its tokenizer and its labels."""

    @property
    def decision(self) -> Decision:
        """What its logits mean."""
        return decision_of(self.facts)

    @staticmethod
    def load_model(
        folder: Path,
        num_labels: int,
        *,
        generator: torch.Generator | None = None,
        pooling: Pooling = "auto",
    ) -> SequenceClassifier:
        """Loads the network; see :func:`lowkey.hf.bert.load_classifier`.

        Args:
            folder: A Hugging Face folder.
            num_labels: Outputs of the head.
            generator: Draws what is missing.
            pooling: What the head reads of a text.

        Returns:
            The network.
        """
        if pooling != "auto":
            return load_pooled(folder, num_labels, pooling, generator=generator)
        return load_classifier(folder, num_labels, generator=generator)

    @staticmethod
    def names(family: EncoderFamily, pooling: Pooling = "auto") -> EncoderNames:
        """Names the modules of the network as other libraries do.

        Args:
            family: The family of its encoder.
            pooling: What the head reads of a text.

        Returns:
            The names.
        """
        return FAMILIES[family] if pooling == "auto" else pooled_names(family)

    @staticmethod
    def options(facts: Facts) -> dict[str, Any]:
        """Says what the head reads of a text.

        Args:
            facts: What the model is trained for.

        Returns:
            The ``pooling``.
        """
        return {"pooling": facts.pooling}

    def save_whole(self, folder: Path) -> None:
        """Writes the whole network as a folder that transformers loads; adapters must be merged.

        Where transformers has no such head it is the encoder alone, the head in a file beside it.

        Args:
            folder: An existing folder.

        Raises:
            CannotWriteError: If a file cannot be written.
        """
        if self.facts.pooling != "auto":
            save_encoder(self.model.encoder, folder)
            save_head(self.model, folder)
            return
        save_classifier(
            self.model,
            folder,
            labels=self.facts.labels or ["score"],
            problem_type=self.decision.problem_type,
        )

    def examples(self, rows: Rows) -> LabelledExamples:
        """Tokenizes labelled rows as the model wants them.

        Args:
            rows: Rows with text and label.

        Returns:
            The examples.

        Raises:
            DataError: If a label is none of the classes, if the model wants pairs and gets texts,
                or lists of labels and gets one each, or the other way round, or if a text is too
                long and is to be refused.
        """
        self.refuse_unpaired("text_pair" in rows.columns, rows.place)
        sets = self.facts.kind == "multilabel"
        fit = self.facts.fit
        return LabelledExamples.from_rows(rows, self.tokenizer, self.labels, sets=sets, fit=fit)

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

    def measures(self, examples: LabelledExamples) -> dict[str, Measure]:
        """Measures how good the model is.

        Args:
            examples: Examples with labels.

        Returns:
            accuracy and f1_macro; for sets of labels f1_micro, f1_macro, exact_match and
            average_precision; for a regression mse, pearson and spearman.
        """
        assert examples.labels is not None, "scoring needs labels"
        return self.decision.measures(self.logits(examples), examples.labels)

    def predict(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        """Predicts, in the order of the texts.

        Args:
            texts: The texts.
            pairs: The second text of each, if the model was trained on pairs.

        Returns:
            ``{"label", "scores": {name: probability}}`` for each; ``{"labels", "scores"}`` with a
            list where a text has any number of labels; ``{"score"}`` for a regression.

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
        return self.decision.answers(logits)

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
