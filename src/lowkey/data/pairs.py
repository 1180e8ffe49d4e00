"""Pairs of texts for an encoder-decoder: from a source to its target."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, Integer
from torch import Tensor

from lowkey.data.flat import FlatSequences
from lowkey.data.labelled import on_device
from lowkey.data.pair_lengths import refuse_long
from lowkey.data.pair_tokenizer import PairTokenizer
from lowkey.data.rows import Rows
from lowkey.nn.layout import SequenceLayout


@dataclass(frozen=True, eq=False)
class PairBatch:
    """Some pairs as the model takes them.

    Attributes:
        source_ids: The source tokens, each sentence with its end token.
        source_layout: Where each source sentence lies.
        target_input_ids: What the decoder reads: the begin token and then the target.
        target_labels: What it is to say: the target and then the end token.
        target_layout: Where each target sentence lies, the same for both.
    """

    source_ids: Integer[Tensor, " source_tokens"]
    source_layout: SequenceLayout
    target_input_ids: Integer[Tensor, " target_tokens"]
    target_labels: Integer[Tensor, " target_tokens"]
    target_layout: SequenceLayout


@dataclass(frozen=True, eq=False)
class PairExamples:
    """All pairs of a split, tokenized once.

    Attributes:
        sources: The tokens of each source and the end token.
        target_inputs: The begin token and the tokens of each target.
        target_labels: The tokens of each target and the end token.
        num_truncated: How many pairs were cut to the greatest length.
    """

    sources: FlatSequences
    target_inputs: FlatSequences
    target_labels: FlatSequences
    num_truncated: int

    @classmethod
    def from_rows(
        cls,
        rows: Rows,
        source_tokenizer: PairTokenizer,
        target_tokenizer: PairTokenizer,
        *,
        max_length: int | None = None,
        truncate: bool = False,
        limit: str = "data.max_length",
    ) -> "PairExamples":
        """Tokenizes rows with ``source`` and ``target``.

        Args:
            rows: The rows.
            source_tokenizer: Tokenizer of the sources.
            target_tokenizer: Tokenizer of the targets; it may be the same.
            max_length: Most tokens of a source or a target, counted with its end token.
            truncate: Whether longer ones are cut; otherwise they are an error.
            limit: The key of the recipe that sets the greatest length, for messages.

        Returns:
            The pairs, in the order of the rows.

        Raises:
            DataError: If a source or target is too long and ``truncate`` is False.
        """
        sources = source_tokenizer.encode(rows.column("source"), special_tokens=False).tokens
        targets = target_tokenizer.encode(rows.column("target"), special_tokens=False).tokens
        if max_length is not None and not truncate:
            refuse_long(rows, sources.lengths, targets.lengths, max_length, limit)
        return cls.from_tokens(
            sources, targets, source_tokenizer, target_tokenizer, max_length=max_length
        )

    @classmethod
    def from_tokens(
        cls,
        sources: FlatSequences,
        targets: FlatSequences,
        source_tokenizer: PairTokenizer,
        target_tokenizer: PairTokenizer,
        *,
        max_length: int | None = None,
    ) -> "PairExamples":
        """Puts begin and end tokens around tokens.

        Args:
            sources: The tokens of each source, without special ones.
            targets: The tokens of each target, without special ones.
            source_tokenizer: Tokenizer of the sources.
            target_tokenizer: Tokenizer of the targets.
            max_length: Most tokens of a source or a target, counted with its end token; longer
                ones are cut.

        Returns:
            The pairs.
        """
        num_truncated = 0
        if max_length is not None:
            longest = np.maximum(sources.lengths, targets.lengths) + 1
            num_truncated = int((longest > max_length).sum())
            sources, targets = sources.cut(max_length - 1), targets.cut(max_length - 1)
        return cls(
            sources=sources.with_end(source_tokenizer.end_id),
            target_inputs=targets.with_begin(target_tokenizer.begin_id),
            target_labels=targets.with_end(target_tokenizer.end_id),
            num_truncated=num_truncated,
        )

    def __len__(self) -> int:
        """Returns the number of pairs."""
        return len(self.sources)

    @property
    def lengths(self) -> Int64[np.ndarray, " examples"]:
        """Tokens of each pair, source and target together: what a token budget counts."""
        return self.sources.lengths + self.target_labels.lengths

    @property
    def truncated_share(self) -> float:
        """The share of pairs that were cut, from 0 to 1."""
        return self.num_truncated / max(1, len(self))

    def take(self, ids: Sequence[int]) -> "PairExamples":
        """Picks pairs.

        Args:
            ids: Positions of the pairs.

        Returns:
            The pairs picked, in the order given.
        """
        return PairExamples(
            self.sources.take(ids), self.target_inputs.take(ids), self.target_labels.take(ids), 0
        )

    def batch(self, ids: Sequence[int], device: torch.device | str = "cpu") -> PairBatch:
        """Lays some pairs end to end.

        Args:
            ids: Positions of the pairs, at least one.
            device: Where the tensors are to be.

        Returns:
            The batch, in the order of ``ids``.
        """
        return self.take(ids).as_batch(device)

    def as_batch(self, device: torch.device | str = "cpu") -> PairBatch:
        """Lays all pairs end to end, as one batch.

        Args:
            device: Where the tensors are to be.

        Returns:
            The batch.
        """
        source_ids, source_layout = flat_batch(self.sources, device)
        target_input_ids, target_layout = flat_batch(self.target_inputs, device)
        target_labels, _ = flat_batch(self.target_labels, device)
        return PairBatch(source_ids, source_layout, target_input_ids, target_labels, target_layout)


def encode_sources(texts: Sequence[str], tokenizer: PairTokenizer) -> FlatSequences:
    """Tokenizes sources alone, for prediction: tokens and the end token, as in training.

    Args:
        texts: The sources.
        tokenizer: Tokenizer of the sources.

    Returns:
        The tokens.

    Raises:
        DataError: If a text cannot be written as UTF-8.
    """
    return tokenizer.encode(texts, special_tokens=False).tokens.with_end(tokenizer.end_id)


def flat_batch(
    sequences: FlatSequences, device: torch.device | str = "cpu"
) -> tuple[Integer[Tensor, " tokens"], SequenceLayout]:
    """Turns sequences into what a model takes.

    Args:
        sequences: At least one sequence, none of them empty.
        device: Where the tensors are to be.

    Returns:
        The ids of all of them, end to end, and their layout.
    """
    ids = on_device(sequences.values.astype(np.int64), device)
    return ids, SequenceLayout(torch.from_numpy(sequences.lengths), device)
