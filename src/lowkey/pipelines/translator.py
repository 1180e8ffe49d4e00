"""A trained Transformer on strings: source texts to target texts."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from lowkey.data.batching import plan_evaluation_batches
from lowkey.data.existing_tokenizer import load_tokenizer
from lowkey.data.pair_tokenizer import PairTokenizer, refuse_other_size
from lowkey.data.pairs import PairExamples, encode_sources, flat_batch
from lowkey.data.rows import Rows
from lowkey.decoding.beam import beam_search
from lowkey.errors import DataError
from lowkey.files import read_json, read_tensors, tensor_infos, write_json, write_tensors
from lowkey.metrics.intervals import Score
from lowkey.models.config import TransformerConfig
from lowkey.models.transformer import Transformer
from lowkey.pipelines.bundle import FACTS_FILE, Decoding, Facts, first_problem
from lowkey.pipelines.text_scores import allowed_targets, text_scores

CONFIG, WEIGHTS = "config.json", "model.safetensors"
# Rows times beams times tokens: what one batch of the search holds in its caches.
SEARCH_TOKENS = 4096
SCORE_TOKENS = 8192
# Tokens an output may have beyond what the longest pair of the training, in proportion, would.
_SLACK = 5


class Translator:
    """A Transformer with its tokenizers and the way it decodes.

    Args:
        model: The network.
        source_tokenizer: Tokenizer of the sources.
        target_tokenizer: Tokenizer of the targets; it may be the same.
        facts: What it was trained for, and how it decodes.
        device: Where it computes.
    """

    def __init__(
        self,
        model: Transformer,
        source_tokenizer: PairTokenizer,
        target_tokenizer: PairTokenizer,
        facts: Facts,
        device: torch.device | str = "cpu",
    ):
        self.model = model.to(device)
        self.source_tokenizer = source_tokenizer
        self.target_tokenizer = target_tokenizer
        self.facts = facts
        self.decoding = facts.decode or Decoding()
        self.device = device

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> "Translator":
        """Opens a bundle.

        Args:
            folder: The bundle.
            device: Where to compute.
            dtype: Precision of the activations.

        Returns:
            The translator, ready to translate.

        Raises:
            MissingInputError: If a file is not there.
            DataError: If a file is damaged, or the files do not fit each other.
        """
        facts = Facts.read(folder)
        model = _load_model(folder)
        _refuse_unnumbered(model.config, facts, folder)
        source, target = load_tokenizer(folder / "source"), load_tokenizer(folder / "target")
        refuse_other_size(source, model.config.source_vocab_size, str(folder / "source"))
        refuse_other_size(target, model.config.target_vocab_size, str(folder / "target"))
        return cls(model.compute_in(dtype).eval(), source, target, facts, device)

    def save(self, folder: Path) -> None:
        """Writes the bundle: sizes, weights, both tokenizers and the facts.

        Args:
            folder: An existing folder.

        Raises:
            CannotWriteError: If a file cannot be written.
        """
        write_json(folder / CONFIG, self.model.config.model_dump(mode="json"))
        # A shared table is one parameter under two names; it is written once.
        state = {n: p for n, p in self.model.named_parameters()}
        write_tensors(folder / WEIGHTS, state)
        for name, tokenizer in (
            ("source", self.source_tokenizer),
            ("target", self.target_tokenizer),
        ):
            (folder / name).mkdir(exist_ok=True)
            tokenizer.save(folder / name)
        self.facts.write(folder)

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

    @torch.inference_mode()
    def translate(self, texts: Sequence[str]) -> list[str]:
        """Translates, in the order of the texts.

        Args:
            texts: Source texts.

        Returns:
            Target texts.
        """
        if not texts:
            return []
        training = self.model.training
        self.model.eval()
        sources, _ = encode_sources(texts, self.source_tokenizer, max_length=self.facts.max_length)
        beams = self.decoding.num_beams
        outputs: dict[int, str] = {}
        for ids in plan_evaluation_batches(sources.lengths, max(1, SEARCH_TOKENS // beams)):
            source_ids, layout = flat_batch(sources.take(ids), self.device)
            found = beam_search(
                self.model.start(source_ids, layout),
                begin_id=self.target_tokenizer.begin_id,
                end_id=self.target_tokenizer.end_id,
                max_length=self._longest_outputs(layout.lengths),
                num_beams=beams,
                length_penalty=self.decoding.length_penalty,
            )
            for i, hypotheses in zip(ids, found, strict=True):
                outputs[i] = self.target_tokenizer.decode(hypotheses[0].token_ids)
        self.model.train(training)
        return [outputs[i] for i in range(len(texts))]

    def _longest_outputs(self, source_lengths: Tensor) -> Tensor:
        """Bounds each output, so that one which never ends does not hold up its batch."""
        ratio = math.inf if self.decoding.max_ratio is None else self.decoding.max_ratio
        by_source = (source_lengths * ratio).ceil() + _SLACK
        return by_source.clamp(max=self.decoding.max_length).long().to(self.device)

    def predict(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Translates, one JSON-ready answer per text.

        Args:
            texts: Source texts.

        Returns:
            ``{"text"}`` for each, in their order.
        """
        return [{"text": text} for text in self.translate(texts)]

    def score(self, rows: Rows) -> tuple[dict[str, Score], list[str]]:
        """Measures how good the outputs are.

        Args:
            rows: Rows with source and target, and perhaps alternatives.

        Returns:
            The scores by name, and the outputs they are of.
        """
        outputs = self.translate(rows.column("source"))
        return text_scores(outputs, allowed_targets(rows), self.facts.task), outputs


def _refuse_unnumbered(config: TransformerConfig, facts: Facts, folder: Path) -> None:
    """Refuses facts that let in, or out, more tokens than learned positions can number."""
    longest = max(facts.max_length or math.inf, (facts.decode or Decoding()).max_length)
    if config.positions == "learned" and longest > config.max_positions:
        what = f"texts may have {longest} tokens, but the model numbers {config.max_positions}"
        raise DataError(what, where=str(folder / FACTS_FILE))


def _load_model(folder: Path) -> Transformer:
    """Checks sizes against the header of the weights before anything is allocated."""
    path = folder / WEIGHTS
    try:
        config = TransformerConfig.model_validate(read_json(folder / CONFIG))
    except ValidationError as error:
        raise DataError(first_problem(error), where=str(folder / CONFIG)) from None
    with torch.device("meta"):
        expected = {n: tuple(p.shape) for n, p in Transformer(config).named_parameters()}
    found = {name: info.shape for name, info in tensor_infos(path).items()}
    if found != expected:
        odd = sorted(n for n in expected.keys() | found.keys() if expected.get(n) != found.get(n))
        raise DataError(
            f"{path} does not fit {CONFIG}: {odd[0]} is {found.get(odd[0], 'missing')},"
            f" expected {expected.get(odd[0], 'nothing')}",
            fix="the two files are of different models",
        )
    model = Transformer(config)
    model.load_state_dict(read_tensors(path), strict=False)
    return model
