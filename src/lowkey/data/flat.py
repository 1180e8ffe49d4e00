"""Many sequences of numbers laid end to end: the form in which examples wait for their batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int64, Integer


@dataclass(frozen=True, eq=False)
class FlatSequences:
    """Sequences without padding: one array of values and the length of each sequence.

    Attributes:
        values: The sequences, end to end.
        lengths: How many values each sequence has.

    Example:
        >>> words = FlatSequences.of([[5, 6], [7]])
        >>> words.take([1, 0]).values.tolist(), words.with_end(2).values.tolist()
        ([7, 5, 6], [5, 6, 2, 7, 2])
    """

    values: Integer[np.ndarray, " values"]
    lengths: Int64[np.ndarray, " sequences"]

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]]) -> "FlatSequences":
        """Lays lists of ids end to end.

        Args:
            sequences: The lists; one may be empty.

        Returns:
            The same ids, in 32 bits.
        """
        lengths = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
        ids = (number for sequence in sequences for number in sequence)
        return cls(np.fromiter(ids, dtype=np.int32, count=int(lengths.sum())), lengths)

    @classmethod
    def join(cls, parts: Sequence["FlatSequences"]) -> "FlatSequences":
        """Puts sequences behind each other.

        Args:
            parts: Sequences in portions; there may be none.

        Returns:
            All of them.
        """
        if not parts:
            return cls.of([])
        values = np.concatenate([part.values for part in parts])
        return cls(values, np.concatenate([part.lengths for part in parts]))

    @classmethod
    def at(
        cls,
        values: Integer[np.ndarray, " values"],
        lengths: Int64[np.ndarray, " sequences"],
        starts: Int64[np.ndarray, " sequences"],
    ) -> "FlatSequences":
        """Takes sequences whose beginnings are known, such as those that lie on a disk.

        Args:
            values: The sequences, end to end.
            lengths: How many values each has.
            starts: Where each begins.

        Returns:
            The sequences.
        """
        made = cls(values, lengths)
        made.__dict__["starts"] = starts  # where the property below keeps what it has computed
        return made

    def aligned(self, values: Integer[np.ndarray, " values"]) -> "FlatSequences":
        """Deals other values out to the same sequences, without counting them again.

        Args:
            values: As many as there are here.

        Returns:
            Sequences of the same lengths.
        """
        return FlatSequences.at(values, self.lengths, self.starts)

    @cached_property
    def starts(self) -> Int64[np.ndarray, " sequences"]:
        """Where each sequence begins; computed once, for every batch asks."""
        return _starts(self.lengths)

    def __len__(self) -> int:
        """Returns the number of sequences."""
        return len(self.lengths)

    def take(self, index: Sequence[int] | Int64[np.ndarray, " chosen"]) -> "FlatSequences":
        """Picks sequences, in the order given.

        Args:
            index: Positions of the sequences; one may come twice.

        Returns:
            The sequences picked.
        """
        index = np.asarray(index, dtype=np.int64)
        lengths = self.lengths[index]
        # Each value's place: how far it stands from the start of its old and of its new sequence.
        old_starts, new_starts = self.starts[index], _starts(lengths)
        places = np.repeat(old_starts - new_starts, lengths) + np.arange(lengths.sum())
        return FlatSequences(self.values[places], lengths)

    def with_begin(self, number: int) -> "FlatSequences":
        """Puts a number in front of each sequence.

        Args:
            number: The number, such as the id of a begin token.

        Returns:
            The longer sequences.
        """
        return FlatSequences(
            np.insert(self.values, _starts(self.lengths), number), self.lengths + 1
        )

    def with_end(self, number: int) -> "FlatSequences":
        """Puts a number behind each sequence.

        Args:
            number: The number, such as the id of an end token.

        Returns:
            The longer sequences.
        """
        return FlatSequences(
            np.insert(self.values, np.cumsum(self.lengths), number), self.lengths + 1
        )

    def cut_end(self) -> "FlatSequences":
        """Takes the last value off each sequence.

        Returns:
            The shorter sequences.
        """
        return FlatSequences(np.delete(self.values, np.cumsum(self.lengths) - 1), self.lengths - 1)

    def cut(self, max_length: int) -> "FlatSequences":
        """Keeps the beginning of each sequence.

        Args:
            max_length: Most values that are kept of one.

        Returns:
            The sequences, none longer than that.
        """
        offsets = np.arange(len(self.values)) - np.repeat(_starts(self.lengths), self.lengths)
        return FlatSequences(
            self.values[offsets < max_length], np.minimum(self.lengths, max_length)
        )


def _starts(lengths: Int64[np.ndarray, " sequences"]) -> Int64[np.ndarray, " sequences"]:
    """Computes where each sequence begins."""
    return np.cumsum(lengths) - lengths
