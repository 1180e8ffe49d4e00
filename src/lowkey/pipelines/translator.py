"""A trained Transformer on strings: source texts to target texts."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from lowkey.data.batching import plan_evaluation_batches
from lowkey.data.pair_tokenizer import PairTokenizer
from lowkey.data.pairs import PairExamples
from lowkey.data.rows import Rows
from lowkey.metrics.intervals import Score
from lowkey.models.transformer import Transformer
from lowkey.pipelines.bundle import Decoding, Facts
from lowkey.pipelines.generation import Request, answer, generate
from lowkey.pipelines.long_texts import Long, long_note
from lowkey.pipelines.text_scores import allowed_targets, text_scores
from lowkey.pipelines.translator_files import Adaptation, TranslatorParts

SCORE_TOKENS = 8192


class Translator:
    """A Transformer with its tokenizers and the way it decodes.

    Args:
        model: The network.
        source_tokenizer: Tokenizer of the sources.
        target_tokenizer: Tokenizer of the targets; it may be the same.
        facts: What it was trained for, and how it decodes.
        device: Where it computes.
        adaptation: How the model is adapted by LoRA; None if it is not.
    """

    def __init__(
        self,
        model: Transformer,
        source_tokenizer: PairTokenizer,
        target_tokenizer: PairTokenizer,
        facts: Facts,
        device: torch.device | str = "cpu",
        adaptation: Adaptation | None = None,
    ):
        self.model = model.to(device)
        self.source_tokenizer = source_tokenizer
        self.target_tokenizer = target_tokenizer
        self.facts = facts
        self.decoding = facts.decode or Decoding()
        self.device = device
        self.adaptation = adaptation

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        base: str | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> "Translator":
        """Opens a bundle, or a published Marian folder.

        Args:
            folder: The folder.
            base: Where the base model of an adapter is, if not where it was in training.
            device: Where to compute.
            dtype: Precision of the activations.

        Returns:
            The translator, ready to translate.

        Raises:
            MissingInputError: If a file, or the base model, is not there.
            DataError: If a file is damaged, or the files do not fit each other.
        """
        parts = TranslatorParts.open(folder, base)
        model = parts.model.compute_in(dtype).eval()
        source, target = parts.source_tokenizer, parts.target_tokenizer
        return cls(model, source, target, parts.facts, device, parts.adaptation)

    def save(self, folder: Path) -> None:
        """Writes the bundle: sizes and weights, or the adapter; both tokenizers and the facts.

        Args:
            folder: An existing folder.

        Raises:
            CannotWriteError: If a file cannot be written.
        """
        source, target = self.source_tokenizer, self.target_tokenizer
        TranslatorParts(self.model, source, target, self.facts, self.adaptation).save(folder)

    def examples(self, rows: Rows) -> PairExamples:
        """Tokenizes pairs as the model wants them; what is too long is cut.

        Args:
            rows: Rows with source and target.

        Returns:
            The examples.
        """
        return PairExamples.from_rows(
            rows,
            self.source_tokenizer,
            self.target_tokenizer,
            max_length=self.facts.max_length,
            truncate=True,
        )

    @torch.inference_mode()
    def nll(self, examples: PairExamples) -> float:
        """Computes the mean negative log-likelihood of a target token, without smoothing.

        Args:
            examples: Tokenized pairs.

        Returns:
            Nats per token; its exponential is the perplexity.
        """
        training = self.model.training
        self.model.eval()
        total = 0.0
        for ids in plan_evaluation_batches(examples.lengths, SCORE_TOKENS):
            batch = examples.batch(ids, self.device)
            logits = self.model(
                batch.source_ids, batch.source_layout, batch.target_input_ids, batch.target_layout
            )
            loss = torch.nn.functional.cross_entropy
            total += float(loss(logits.float(), batch.target_labels, reduction="sum"))
        self.model.train(training)
        return total / len(examples.target_labels.values)

    @property
    def begin_id(self) -> int:
        """The token that every output starts from."""
        own = self.decoding.begin_id
        return self.target_tokenizer.begin_id if own is None else own

    @property
    def longest_source(self) -> int | None:
        """Most tokens of a source, its end token included: as in training, or as numbered."""
        config = self.model.config
        numbered = config.max_positions if config.positions == "learned" else None
        return min(filter(None, (self.facts.max_length, numbered)), default=None)

    def translate(
        self,
        texts: Sequence[str],
        *,
        prefixes: Sequence[str] | None = None,
        long: Long = "error",
        **changes: Any,
    ) -> list[str]:
        """Translates, in the order of the texts.

        Args:
            texts: Source texts.
            prefixes: What the output of each text is made to begin with, perhaps nothing.
            long: What to do with texts longer than the model reads: "error", "truncate" (cut
                off their ends) or "split" (translate them in pieces).
            **changes: Other values for keys of ``decode``, such as ``num_beams=8``.

        Returns:
            Target texts.

        Raises:
            ConfigError: If the changes are wrong or do not fit each other.
            DataError: If a text or a prefix is too long, or a prefix cannot be said.
        """
        answers = self.predict(texts, prefixes=prefixes, long=long, **changes)
        return [answer["text"] for answer in answers]

    def predict(
        self,
        texts: Sequence[str],
        *,
        nbest: int = 1,
        scores: bool = False,
        prefixes: Sequence[str] | None = None,
        long: Long = "error",
        **changes: Any,
    ) -> list[dict[str, Any]]:
        """Translates, one JSON-ready answer per text.

        Args:
            texts: Source texts.
            nbest: Outputs of each text: the best that the beams found, or so many samples.
            scores: Whether each output says its score: its log probability over the length
                penalty.
            prefixes: What the output of each text is made to begin with, perhaps nothing.
            long: What to do with texts longer than the model reads, as in ``translate``.
            **changes: Other values for keys of ``decode``, such as ``num_beams=8``.

        Returns:
            ``{"text"}`` for each, in their order; with scores ``"score"`` too; with more than
            one output ``"nbest"``, a list of such answers, of which the first is repeated
            outside.

        Raises:
            ConfigError: If the changes are wrong or do not fit each other.
            DataError: If a text or a prefix is too long, or a prefix cannot be said.
        """
        decoding = self.decoding.changed(**changes)
        request = Request(decoding, nbest=nbest, long=long, prefixes=prefixes)
        training = self.model.training
        self.model.eval()
        generated = generate(self, texts, request)
        self.model.train(training)
        if note := long_note(generated.num_long, self.longest_source, long):
            warnings.warn(note, stacklevel=2)
        return [answer(one, nbest=nbest, scores=scores) for one in generated.outputs]

    def score(self, rows: Rows, *, thorough: bool = True) -> tuple[dict[str, Score], list[str]]:
        """Measures how good the outputs are; sources that are too long are cut, with a warning.

        Args:
            rows: Rows with source and target, and perhaps alternatives.
            thorough: Whether slow metrics are computed too.

        Returns:
            The scores by name, and the outputs they are of.
        """
        outputs = self.translate(rows.column("source"), long="truncate")
        allowed = allowed_targets(rows)
        return text_scores(outputs, allowed, self.facts.task, thorough=thorough), outputs
