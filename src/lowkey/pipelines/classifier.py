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
from lowkey.data.labels import LabelMap
from lowkey.data.rows import Rows
from lowkey.data.tokenizer import TextTokenizer
from lowkey.errors import DataError
from lowkey.files import write_json
from lowkey.hf.adapter import load_adapter, save_adapter
from lowkey.hf.bert import load_classifier, save_classifier
from lowkey.hf.encoder_families import FAMILIES
from lowkey.lora.config import LoRAConfig
from lowkey.metrics.classification import accuracy, f1_macro
from lowkey.metrics.intervals import Score
from lowkey.metrics.regression import mse, pearson, spearman
from lowkey.models.heads import SequenceClassifier
from lowkey.pipelines.base_model import find_base
from lowkey.pipelines.bundle import Facts
from lowkey.pipelines.head import load_head, save_head

# Large enough that matrix products dominate, small enough for a laptop's memory.
BATCH_TOKENS = 8192
_PADDING = ("[PAD]", "<pad>")


class TextClassifier:
    """A classifier (or regressor) with its tokenizer and its labels.

    Args:
        model: The network.
        tokenizer: Its tokenizer.
        facts: What it was trained for.
        device: Where it computes.
        lora_config: How the model is adapted; None if it is not.
    """

    def __init__(
        self,
        model: SequenceClassifier,
        tokenizer: TextTokenizer,
        facts: Facts,
        device: torch.device | str = "cpu",
        lora_config: LoRAConfig | None = None,
    ):
        self.model = model.to(device)
        self.tokenizer = tokenizer
        self.facts = facts
        self.labels = LabelMap(facts.labels) if facts.labels else None
        self.device = device
        self.lora_config = lora_config

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        base: str | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> "TextClassifier":
        """Opens a bundle.

        Args:
            folder: The bundle.
            base: Where the base model is, if not where it was in training.
            device: Where to compute.
            dtype: Precision of the activations.

        Returns:
            The classifier, ready to predict.

        Raises:
            MissingInputError: If a file, or the base model, is not there.
            DataError: If a file is damaged, or the base is not the one of the training.
        """
        facts = Facts.read(folder)
        num_labels = len(facts.labels) or 1
        lora_config = None
        if facts.method == "full":
            model = load_classifier(folder, num_labels)
        else:
            base_folder = find_base(facts, folder, base)
            model = load_classifier(base_folder, num_labels)
            if facts.method == "lora":
                family = FAMILIES[model.encoder.config.family].adapters
                lora_config = load_adapter(model, folder, family)
            else:
                load_head(model, folder)
        model.compute_in(dtype).eval()
        return cls(model, TextTokenizer.load(folder), facts, device, lora_config)

    def save(self, folder: Path) -> None:
        """Writes the bundle: what the base model does not hold, the tokenizer and the facts.

        Args:
            folder: An existing folder.

        Raises:
            CannotWriteError: If a file cannot be written.
        """
        facts, model = self.facts, self.model
        if self.lora_config is not None:
            name, family = facts.base_model or "", FAMILIES[model.encoder.config.family].adapters
            save_adapter(model, folder, lora_config=self.lora_config, base_name=name, family=family)
        elif facts.method == "head":
            save_head(model, folder)
        else:
            self.save_whole(folder)
        self.save_tokenizer(folder)
        facts.write(folder)

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

    def save_tokenizer(self, folder: Path) -> None:
        """Writes the tokenizer so that transformers reads it as it is.

        Args:
            folder: An existing folder.

        Raises:
            CannotWriteError: If a file cannot be written.
        """
        self.tokenizer.save(folder)
        # Left to itself, transformers takes the tokenizer of a BERT for one that lower-cases.
        settings = {"tokenizer_class": "PreTrainedTokenizerFast"}
        tokens = self.tokenizer.tokens(range(self.tokenizer.vocab_size))
        for padding in _PADDING:
            if padding in tokens:
                settings["pad_token"] = padding
        write_json(folder / "tokenizer_config.json", settings)

    def examples(self, rows: Rows) -> LabelledExamples:
        """Tokenizes labelled rows as the model wants them.

        Args:
            rows: Rows with text and label.

        Returns:
            The examples.

        Raises:
            DataError: If a label is none of the classes, or if the model wants pairs and gets
                texts, or the other way round.
        """
        self._refuse_unpaired("text_pair" in rows.columns, rows.place)
        return LabelledExamples.from_rows(
            rows, self.tokenizer, self.labels, max_length=self.facts.max_length
        )

    @torch.inference_mode()
    def logits(self, examples: LabelledExamples) -> Float32[np.ndarray, "examples labels"]:
        """Scores examples, similar lengths together, and gives them back in their order.

        Args:
            examples: Tokenized texts.

        Returns:
            One row of logits per example.
        """
        training = self.model.training
        self.model.eval()
        output = torch.empty(len(examples), self.model.classifier.out_features)
        for ids in plan_evaluation_batches(examples.lengths, BATCH_TOKENS):
            batch = examples.batch(ids, self.device)
            output[ids] = self.model(batch.input_ids, batch.layout, batch.segment_ids).cpu()
        self.model.train(training)
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
            DataError: If the model wants pairs and gets texts, or the other way round.
        """
        self._refuse_unpaired(pairs is not None)
        if not texts:
            return []
        examples = LabelledExamples.from_texts(
            texts, pairs, self.tokenizer, max_length=self.facts.max_length
        )
        logits = torch.from_numpy(self.logits(examples))
        if self.labels is None:
            return [{"score": value} for value in logits[:, 0].tolist()]
        return [self._answer(row) for row in logits.softmax(1)]

    def _refuse_unpaired(self, paired: bool, place: str | None = None) -> None:
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
