"""Texts, or pairs of texts, with a label each, ready for an encoder."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float32, Int64, Shaped, UInt8
from torch import Tensor

from lowkey.data.flat import FlatSequences
from lowkey.data.label_sets import LabelSets
from lowkey.data.labelled_batch import LabelledBatch
from lowkey.data.labels import LabelMap, label_numbers
from lowkey.data.rows import Rows
from lowkey.data.tokenizer import TextTokenizer
from lowkey.data.windows import WHOLE, Fit, fit_to_length
from lowkey.nn.layout import SequenceLayout

Truth = Int64[np.ndarray, " examples"] | Float32[np.ndarray, " examples"] | LabelSets
"""The id of the class of each example; its number, for regression; or its labels."""


@dataclass(frozen=True, eq=False)
class LabelledExamples:
    """All examples of a split, tokenized once.

    Attributes:
        tokens: The token ids of each example, or of each of its windows, example after example.
        segments: For pairs, 0 or 1 for each token; it has the shape of ``tokens``.
        labels: The label, or the labels, of each example; None without any.
        windows: Where long texts are read in windows, how many each example has; else None.
        whole: How many tokens each example has as it stands; None if that was not kept.
        max_length: Most tokens of an example, or of a window.
    """

    tokens: FlatSequences
    segments: UInt8[np.ndarray, " tokens"] | None
    labels: Truth | None
    windows: Int64[np.ndarray, " examples"] | None = None
    whole: Int64[np.ndarray, " examples"] | None = None
    max_length: int | None = None

    @classmethod
    def from_rows(
        cls,
        rows: Rows,
        tokenizer: TextTokenizer,
        labels: LabelMap | None,
        *,
        sets: bool = False,
        fit: Fit = WHOLE,
    ) -> "LabelledExamples":
        """Tokenizes rows with ``text``, ``label`` and perhaps ``text_pair``.

        Args:
            rows: The rows.
            tokenizer: The tokenizer of the model.
            labels: The classes, decided from the training rows; None for regression.
            sets: Whether each row has a list of labels.
            fit: How many tokens the model reads at once, and what becomes of longer texts.

        Returns:
            The examples, in the order of the rows.

        Raises:
            DataError: If a label is none of the classes, or for regression no number; if rows have
                a list of labels and are to have one, or the other way round; or if a text is too
                long and is to be refused.
        """
        if labels is None:
            values: Truth = label_numbers(rows)
        else:
            values = LabelSets.from_rows(rows, labels) if sets else labels.ids(rows)
        pairs = rows.column("text_pair") if "text_pair" in rows.columns else None
        return cls.from_texts(
            rows.column("text"),
            pairs,
            tokenizer,
            labels=values,
            fit=fit,
            places=[rows.where(i) for i in range(len(rows))],
            fix="shorten it, or set data.long_texts to truncate or window",
        )

    @classmethod
    def from_texts(
        cls,
        texts: Sequence[str],
        pairs: Sequence[str] | None,
        tokenizer: TextTokenizer,
        *,
        labels: Truth | None = None,
        fit: Fit = WHOLE,
        places: Sequence[str] | None = None,
        fix: str = "shorten it",
    ) -> "LabelledExamples":
        """Tokenizes texts, with their labels if they are known.

        Args:
            texts: The texts.
            pairs: A second text for each, if they come in pairs.
            tokenizer: The tokenizer of the model.
            labels: What is true of each, if that is known.
            fit: How many tokens the model reads at once, and what becomes of longer texts.
            places: How messages call each text; None counts them from 1.
            fix: What to do about a text that is refused, for the message.

        Returns:
            The examples, in the order of the texts.

        Raises:
            DataError: If a text is too long and is to be refused, if the shorter text of a pair
                leaves no room for windows, or if a text cannot be written as UTF-8.
        """
        fitted = fit_to_length(texts, pairs, tokenizer, fit, places=places, fix=fix)
        return cls(
            fitted.tokens,
            fitted.segment_ids,
            labels,
            windows=fitted.windows,
            whole=fitted.whole,
            max_length=fit.max_length,
        )

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
        return cls(tokens, segments, None)

    def __len__(self) -> int:
        """Returns the number of examples."""
        return len(self.tokens if self.windows is None else self.windows)

    @property
    def lengths(self) -> Int64[np.ndarray, " examples"]:
        """Tokens of each example in all of its windows, special tokens included."""
        if self.windows is None:
            return self.tokens.lengths
        return np.add.reduceat(self.tokens.lengths, np.cumsum(self.windows) - self.windows)

    @property
    def owners(self) -> Int64[np.ndarray, " windows"]:
        """The example that each window is of."""
        windows = np.ones(len(self), dtype=np.int64) if self.windows is None else self.windows
        return np.repeat(np.arange(len(self)), windows)

    def apart(self) -> "LabelledExamples":
        """Takes each window as an example by itself.

        Returns:
            The windows, without labels.
        """
        return replace(self, labels=None, windows=None, whole=None)

    def notes(self, name: str) -> list[str]:
        """Says what is too long to be read as it stands.

        Args:
            name: What the texts are called, such as "train".

        Returns:
            A line with how many are longer, and how long all of them are; none if none is longer.
        """
        if self.whole is None or self.max_length is None:
            return []
        long = int((self.whole > self.max_length).sum())
        if not long:
            return []
        done = "cut" if self.windows is None else f"read in up to {self.windows.max()} windows"
        cover = int(np.quantile(self.whole, 0.99, method="inverted_cdf"))
        return [
            f"note: {long / len(self):.1%} of the {name} texts are longer than {self.max_length}"
            f" tokens and are {done} ({long} of {len(self)}; median {np.median(self.whole):.0f},"
            f" longest {self.whole.max()}, {cover} would cover 99%)"
        ]

    @cached_property
    def _places(self) -> FlatSequences:
        """Which windows each example has."""
        assert self.windows is not None, "only texts in windows have several places"
        return FlatSequences(np.arange(len(self.tokens)), self.windows)

    def batch(self, ids: Sequence[int], device: torch.device | str = "cpu") -> LabelledBatch:
        """Lays some examples end to end.

        Args:
            ids: Positions of the examples, at least one.
            device: Where the tensors are to be.

        Returns:
            The batch, in the order of ``ids``.
        """
        index, owners = np.asarray(ids, dtype=np.int64), None
        if self.windows is not None:
            windows = self._places.take(ids)
            index = windows.values
            owners = on_device(np.repeat(np.arange(len(ids)), windows.lengths), device)
        chosen = self.tokens.take(index)
        segment_ids = None
        if self.segments is not None:
            segments = self.tokens.aligned(self.segments).take(index)
            segment_ids = on_device(segments.values.astype(np.int64), device)
        return LabelledBatch(
            input_ids=on_device(chosen.values.astype(np.int64), device),
            layout=SequenceLayout(torch.from_numpy(chosen.lengths), device),
            segment_ids=segment_ids,
            labels=None if self.labels is None else on_device(self.labels[ids], device),
            owners=owners,
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
