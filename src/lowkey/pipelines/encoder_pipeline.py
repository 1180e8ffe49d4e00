"""What fine-tuned encoders share, whatever their head: how they are opened and kept."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from jaxtyping import Float32

from lowkey.data.labelled import LabelledExamples
from lowkey.data.labels import LabelMap
from lowkey.data.masked import MaskedExamples
from lowkey.data.questions import QuestionExamples
from lowkey.data.rows import Rows
from lowkey.data.tagged import TaggedExamples
from lowkey.data.tokenizer import TextTokenizer
from lowkey.hf.adapter import load_adapter, save_adapter
from lowkey.hf.encoder_families import EncoderNames
from lowkey.lora.config import LoRAConfig
from lowkey.metrics.intervals import Score
from lowkey.metrics.measure import Measure
from lowkey.models.config import EncoderFamily
from lowkey.models.heads import SequenceClassifier, TokenClassifier
from lowkey.models.masked import MaskedLanguageModel
from lowkey.models.span_head import SpanClassifier
from lowkey.pipelines.base_model import find_base
from lowkey.pipelines.bundle import Facts
from lowkey.pipelines.head import load_head, save_head

M = TypeVar("M", SequenceClassifier, TokenClassifier, SpanClassifier, MaskedLanguageModel)
E = TypeVar("E", LabelledExamples, TaggedExamples, QuestionExamples, MaskedExamples)
# Large enough that matrix products dominate, small enough for a laptop's memory.
BATCH_TOKENS = 8192

P = TypeVar("P", bound="EncoderPipeline[Any, Any]")


class EncoderPipeline(ABC, Generic[M, E]):
    """An encoder with a head, its tokenizer and its labels.

    Args:
        model: The network.
        tokenizer: Its tokenizer.
        facts: What it was trained for.
        device: Where it computes.
        lora_config: How the model is adapted; None if it is not.
    """

    def __init__(
        self,
        model: M,
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

    @staticmethod
    @abstractmethod
    def load_model(folder: Path, num_labels: int, *, generator: torch.Generator | None = None) -> M:
        """Loads the network from a Hugging Face folder.

        Args:
            folder: The folder.
            num_labels: Outputs of the head; a head of another size is drawn anew.
            generator: Draws what is missing; torch's global one if None.

        Returns:
            The network, in fp32.
        """

    @staticmethod
    @abstractmethod
    def names(family: EncoderFamily) -> EncoderNames:
        """Names the modules of the network as other libraries do.

        Args:
            family: The family of its encoder.

        Returns:
            The names.
        """

    @staticmethod
    def options(facts: Facts) -> dict[str, Any]:
        """Says what of the facts decides which network it is, and what its modules are called.

        Args:
            facts: What the model is trained for.

        Returns:
            Further arguments of :meth:`load_model` and :meth:`names`.
        """
        del facts
        return {}

    @abstractmethod
    def save_whole(self, folder: Path) -> None:
        """Writes the whole network as a folder that transformers loads; adapters must be merged.

        Args:
            folder: An existing folder.

        Raises:
            CannotWriteError: If a file cannot be written.
        """

    @abstractmethod
    def examples(self, rows: Rows) -> E:
        """Tokenizes labelled rows as the model wants them.

        Args:
            rows: Rows with what the model reads, and the truth.

        Returns:
            The examples.

        Raises:
            DataError: If a row is not what the model reads.
        """

    @abstractmethod
    def measures(self, examples: E) -> dict[str, Measure]:
        """Measures how good the model is.

        Args:
            examples: Examples with the truth.

        Returns:
            The metrics of its task, whose intervals take longer than their values.
        """

    @abstractmethod
    def logits(self, examples: E) -> Float32[np.ndarray, "outputs labels"]:
        """Computes what the head says.

        Args:
            examples: Tokenized texts.

        Returns:
            A row of logits for each text, or for each word.
        """

    def score_rows(self, rows: Rows) -> dict[str, Score]:
        """Measures how good the model is on labelled rows.

        Args:
            rows: Rows with what the model reads, and the truth.

        Returns:
            The metrics of its task.

        Raises:
            DataError: If a row is not what the model reads.
        """
        return {name: m.score() for name, m in self.measures(self.examples(rows)).items()}

    @classmethod
    def load(
        cls: type[P],
        folder: Path,
        *,
        base: str | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> P:
        """Opens a bundle.

        Args:
            folder: The bundle.
            base: Where the base model is, if not where it was in training.
            device: Where to compute.
            dtype: Precision of the activations.

        Returns:
            The pipeline, ready to predict.

        Raises:
            MissingInputError: If a file, or the base model, is not there.
            DataError: If a file is damaged, or the base is not the one of the training.
        """
        facts = Facts.read(folder)
        lora_config, options = None, cls.options(facts)
        whole = folder if facts.method == "full" else find_base(facts, folder, base)
        model = cls.load_model(whole, len(facts.labels) or 1, **options)
        if facts.method == "lora":
            family = cls.names(model.encoder.config.family, **options).adapters
            lora_config = load_adapter(model, folder, family)
        alone = facts.method in ("head", "bitfit")
        if alone or facts.pooling != "auto":
            load_head(model, folder, biases=facts.method == "bitfit", freeze=alone)
        model.compute_in(dtype).eval()
        return cls(model, TextTokenizer.load(folder), facts, device, lora_config)

    def save(self, folder: Path) -> None:
        """Writes the bundle: what the base model does not hold, the tokenizer and the facts.

        Args:
            folder: An existing folder.

        Raises:
            CannotWriteError: If a file cannot be written.
        """
        if self.lora_config is not None:
            self.save_adapter(folder)
        elif self.facts.method in ("head", "bitfit"):
            save_head(self.model, folder, biases=self.facts.method == "bitfit")
        else:
            self.save_whole(folder)
        self.save_tokenizer(folder)
        self.facts.write(folder)

    def save_adapter(self, folder: Path) -> None:
        """Writes updates and head as an adapter for peft; a head it has no task for, beside it.

        Args:
            folder: An existing folder.

        Raises:
            ValueError: If the model is not adapted.
            CannotWriteError: If a file cannot be written.
        """
        if self.lora_config is None:
            raise ValueError("the model is not adapted")
        lora_config = self.lora_config
        if self.facts.pooling != "auto":
            save_head(self.model, folder)
            lora_config = lora_config.model_copy(update={"modules_to_save": []})
        names = self.names(self.model.encoder.config.family, **self.options(self.facts))
        base, family = self.facts.base_model or "", names.adapters
        save_adapter(self.model, folder, lora_config=lora_config, base_name=base, family=family)

    def save_tokenizer(self, folder: Path) -> None:
        """Writes the tokenizer so that transformers reads it as it is.

        Args:
            folder: An existing folder.

        Raises:
            CannotWriteError: If a file cannot be written.
        """
        self.tokenizer.save(folder)
        self.tokenizer.save_settings(folder)
