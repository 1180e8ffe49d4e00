"""Raw texts as pieces that a model reads, some of their tokens masked, ready for an encoder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, Integer
from torch import Tensor

from lowkey.data.flat import FlatSequences
from lowkey.data.labelled import on_device
from lowkey.data.masking import Masking
from lowkey.data.tokenizer import TextTokenizer
from lowkey.errors import DataError
from lowkey.nn.layout import SequenceLayout
from lowkey.runtime import seed_for


@dataclass(frozen=True, eq=False)
class MaskedBatch:
    """Some pieces as the model takes them.

    Attributes:
        input_ids: The token ids of all pieces, end to end, as the masks leave them.
        layout: Where each piece lies.
        rows: The row of each token that the model is asked about.
        targets: The token that belongs there.
        counts: How many tokens each piece is asked about.
    """

    input_ids: Integer[Tensor, " tokens"]
    layout: SequenceLayout
    rows: Integer[Tensor, " chosen"]
    targets: Integer[Tensor, " chosen"]
    counts: Int64[np.ndarray, " pieces"]


@dataclass(frozen=True, eq=False)
class MaskedExamples:
    """All texts of a split, tokenized once.

    A text longer than the model reads makes several pieces, about equally long; nothing is left
    out.

    Attributes:
        pieces: The token ids of each piece, begin and end token included.
        texts: The number of the text that each piece is of.
        num_texts: How many texts there are.
        num_cut: How many of them make more than one piece.
        masking: How tokens are hidden.
    """

    pieces: FlatSequences
    texts: Int64[np.ndarray, " pieces"]
    num_texts: int
    num_cut: int
    masking: Masking

    @classmethod
    def from_texts(
        cls,
        texts: Sequence[str],
        tokenizer: TextTokenizer,
        masking: Masking,
        *,
        max_length: int,
        where: Callable[[int], str] = "text {}".format,
    ) -> "MaskedExamples":
        """Tokenizes texts and cuts the long ones into pieces.

        Args:
            texts: The texts.
            tokenizer: The tokenizer of the model.
            masking: How tokens are hidden.
            max_length: Most tokens of a piece, begin and end token included; at least 3.
            where: Says where a text stands, for messages.

        Returns:
            The pieces, in the order of the texts; one of special tokens alone is left out.

        Raises:
            DataError: If a text cannot be written as UTF-8, or if none holds a token to mask.
        """
        tokens = tokenizer.encode(texts, special_tokens=False).tokens
        counts = -(-tokens.lengths // (max_length - 2))
        owners = np.repeat(np.arange(len(texts)), counts)
        number = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
        share, rest = np.divmod(tokens.lengths[owners], counts[owners])
        pieces = FlatSequences(tokens.values, share + (number < rest))
        plain = ~np.isin(pieces.values, masking.special_ids)
        holds = np.repeat(np.arange(len(owners)), pieces.lengths)[plain]
        kept = np.unique(holds)
        if not len(kept):
            what = "no text holds a token to mask: all are special or unknown"
            raise DataError(what, where=where(0), fix="is this the tokenizer of the model?")
        framed = pieces.take(kept).with_begin(tokenizer.begin_id).with_end(tokenizer.end_id)
        return cls(framed, owners[kept], len(texts), int((counts > 1).sum()), masking)

    def __len__(self) -> int:
        """Returns the number of pieces."""
        return len(self.pieces)

    @property
    def lengths(self) -> Int64[np.ndarray, " pieces"]:
        """Tokens of each piece, special tokens included."""
        return self.pieces.lengths

    def notes(self, name: str, max_length: int) -> list[str]:
        """Says what is not read as it stands.

        Args:
            name: What the texts are called, such as "train".
            max_length: Most tokens of a piece.

        Returns:
            A line about texts that make several pieces, and one about those that make none.
        """
        said = []
        if self.num_cut:
            said.append(
                f"note: {self.num_cut / self.num_texts:.1%} of the {name} texts have more than"
                f" {max_length} tokens and are read in pieces; there are {len(self):,}"
            )
        silent = self.num_texts - len(np.unique(self.texts))
        if silent:
            said.append(f"note: {silent} of the {name} texts hold no token to mask")
        return said

    def batch(
        self, ids: Sequence[int], seed: tuple[int, int] | None, device: torch.device | str = "cpu"
    ) -> MaskedBatch:
        """Lays some pieces end to end and masks each; its masks do not depend on the others.

        Args:
            ids: Positions of the pieces, at least one.
            seed: Seed of the run and number of the epoch, which choose the masks; None for the
                masks that models are compared by, whatever the run.
            device: Where the tensors are to be.

        Returns:
            The batch, in the order of ``ids``.
        """
        chosen = self.pieces.take(ids)
        read, rows = [], []
        for place, start, length in zip(ids, chosen.starts, chosen.lengths, strict=True):
            stream = ("fixed masks",) if seed is None else ("masks", *seed)
            tokens = chosen.values[start : start + length]
            ids_read, positions = self.masking.draw(tokens, seed_for(*stream, int(place)))
            read.append(ids_read)
            rows.append(positions + start)
        asked = np.concatenate(rows)
        return MaskedBatch(
            input_ids=on_device(np.concatenate(read), device),
            layout=SequenceLayout(torch.from_numpy(chosen.lengths), device),
            rows=on_device(asked, device),
            targets=on_device(chosen.values[asked].astype(np.int64), device),
            counts=np.array([len(positions) for positions in rows]),
        )
