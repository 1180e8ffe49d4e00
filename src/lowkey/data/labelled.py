"""Texts, or pairs of texts, with a label each, ready for an encoder."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, Integer, Shaped, UInt8
from torch import Tensor

from lowkey.data.flat import FlatSequences
from lowkey.data.label_sets import LabelSets
from lowkey.data.labels import LabelMap, label_numbers
from lowkey.data.rows import Rows
from lowkey.data.tokenizer import TextTokenizer
from lowkey.nn.layout import SequenceLayout

Truth = Int64[np.ndarray, " examples"] | Float32[np.ndarray, " examples"] | LabelSets
"""The id of the class of each example; its number, for regression; or its labels."""


@dataclass(frozen=True, eq=False)
class LabelledBatch:
    """Some examples as the model takes them.

    Attributes:
        input_ids: The token ids of all sentences, end to end.
        layout: Where each sentence lies.
        segment_ids: Which text of its pair each token belongs to; None for single texts.
        labels: The class of each sentence; for regression its number; for sets of labels 1 where
            a label holds and 0 where not; None without labels.
    """

    input_ids: Integer[Tensor, " tokens"]
    layout: SequenceLayout
    segment_ids: Integer[Tensor, " tokens"] | None
    labels: (
        Integer[Tensor, " sentences"]
        | Float[Tensor, " sentences"]
        | Float[Tensor, "sentences labels"]
        | None
    )


@dataclass(frozen=True, eq=False)
class LabelledExamples:
    """All examples of a split, tokenized once.

    Attributes:
        tokens: The token ids of each example.
        segments: For pairs, 0 or 1 for each token; it has the shape of ``tokens``.
        labels: The label, or the labels, of each example; None without any.
        num_truncated: How many examples were cut to the greatest length.
    """

    tokens: FlatSequences
    segments: UInt8[np.ndarray, " tokens"] | None
    labels: Truth | None
    num_truncated: int

    @classmethod
    def from_rows(
        cls,
        rows: Rows,
        tokenizer: TextTokenizer,
        labels: LabelMap | None,
        *,
        sets: bool = False,
        max_length: int | None = None,
    ) -> "LabelledExamples":
        """Tokenizes rows with ``text``, ``label`` and perhaps ``text_pair``.

        Args:
            rows: The rows.
            tokenizer: The tokenizer of the model.
            labels: The classes, decided from the training rows; None for regression.
            sets: Whether each row has a list of labels.
            max_length: Most tokens of an example, special tokens included; the rest is cut.

        Returns:
            The examples, in the order of the rows.

        Raises:
            DataError: If a label is none of the classes, or for regression no number; or if rows
                have a list of labels and are to have one, or the other way round.
        """
        if labels is None:
            values: Truth = label_numbers(rows)
        else:
            values = LabelSets.from_rows(rows, labels) if sets else labels.ids(rows)
        pairs = rows.column("text_pair") if "text_pair" in rows.columns else None
        return cls.from_texts(
            rows.column("text"), pairs, tokenizer, labels=values, max_length=max_length
        )

    @classmethod
    def from_texts(
        cls,
        texts: Sequence[str],
        pairs: Sequence[str] | None,
        tokenizer: TextTokenizer,
        *,
        labels: Truth | None = None,
        max_length: int | None = None,
    ) -> "LabelledExamples":
        """Tokenizes texts, with their labels if they are known.

        Args:
            texts: The texts.
            pairs: A second text for each, if they come in pairs.
            tokenizer: The tokenizer of the model.
            labels: What is true of each, if that is known.
            max_length: Most tokens of an example, special tokens included; the rest is cut.

        Returns:
            The examples, in the order of the texts.

        Raises:
            DataError: If a text cannot be written as UTF-8.
        """
        encoded = tokenizer.encode(texts, pairs, max_length=max_length)
        return cls(encoded.tokens, encoded.segment_ids, labels, encoded.num_truncated)

    @classmethod
    def join(cls, parts: Sequence["LabelledExamples"]) -> "LabelledExamples":
        """Puts examples without labels behind each other; single texts and pairs may be mixed.

        Args:
            parts: Examples in portions, at least one.

        Returns:
            All of them.
        """
        segments = None
        if any(part.segments is not None for part in parts):
            # The tokens of a single text are all in the first segment.
            first = (np.zeros(len(part.tokens.values), np.uint8) for part in parts)
            segments = np.concatenate(
                [z if p.segments is None else p.segments for p, z in zip(parts, first, strict=True)]
            )
        tokens = FlatSequences.join([part.tokens for part in parts])
        return cls(tokens, segments, None, sum(part.num_truncated for part in parts))

    def __len__(self) -> int:
        """Returns the number of examples."""
        return len(self.tokens)

    @property
    def lengths(self) -> Int64[np.ndarray, " examples"]:
        """Tokens of each example, special tokens included."""
        return self.tokens.lengths

    @property
    def truncated_share(self) -> float:
        """The share of examples that were cut, from 0 to 1."""
        return self.num_truncated / max(1, len(self))

    def batch(self, ids: Sequence[int], device: torch.device | str = "cpu") -> LabelledBatch:
        """Lays some examples end to end.

        Args:
            ids: Positions of the examples, at least one.
            device: Where the tensors are to be.

        Returns:
            The batch, in the order of ``ids``.
        """
        chosen = self.tokens.take(ids)
        segment_ids = None
        if self.segments is not None:
            segments = FlatSequences(self.segments, self.tokens.lengths).take(ids)
            segment_ids = on_device(segments.values.astype(np.int64), device)
        return LabelledBatch(
            input_ids=on_device(chosen.values.astype(np.int64), device),
            layout=SequenceLayout(torch.from_numpy(chosen.lengths), device),
            segment_ids=segment_ids,
            labels=None if self.labels is None else on_device(self.labels[ids], device),
        )


def on_device(
    values: Shaped[np.ndarray, "*shape"], device: torch.device | str
) -> Shaped[Tensor, "*shape"]:
    """Brings an array to the device of the model.

    Args:
        values: An array that nobody else changes.
        device: Where the tensor is to be.

    Returns:
        The same values as a tensor.
    """
    return torch.from_numpy(values).to(device)
