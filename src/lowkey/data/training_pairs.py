"""The pairs that a model learns from, epoch after epoch: held in memory or streamed.

An example has a number that is a pure function of epoch and place: a batch can be made anew from
its numbers alone, when a run is resumed as in the run itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64

from lowkey.data.flat import FlatSequences
from lowkey.data.pairs import PairExamples
from lowkey.data.rows import Rows
from lowkey.data.streams import RowStream
from lowkey.data.subword_dropout import SubwordDropout


@runtime_checkable
class TrainingPairs(Protocol):
    """What a training on pairs asks of its data."""

    def lengths(self, epoch: int) -> Int64[np.ndarray, " examples"]:
        """Counts the tokens of each pair of an epoch, as they are without subword dropout.

        Args:
            epoch: Number of the epoch, from 0.

        Returns:
            Tokens of source and target together.
        """
        ...

    def numbers(self, epoch: int, ids: Sequence[int]) -> list[int]:
        """Numbers pairs through all epochs.

        Args:
            epoch: Number of the epoch.
            ids: Positions in it.

        Returns:
            A number for each that tells the epoch too where that matters.
        """
        ...

    def chosen(self, numbers: Sequence[int]) -> PairExamples:
        """Gives the pairs of a batch: a pure function of the numbers.

        Args:
            numbers: Pairs of one epoch, at least one, as ``numbers`` named them.

        Returns:
            The pairs in tokens, in the order of the numbers.
        """
        ...


@dataclass(frozen=True)
class PairDropout:
    """Cuts pairs anew, with merges left out on one side or both.

    Attributes:
        source: Dropout of the sources, None without.
        target: Dropout of the targets, None without.
        seed: Seed of the run.
        max_length: Most tokens of a side; a text that would become longer is cut as without.
    """

    source: SubwordDropout | None
    target: SubwordDropout | None
    seed: int
    max_length: int | None

    def again(
        self, pairs: PairExamples, sources: Sequence[str], targets: Sequence[str], epoch: int
    ) -> PairExamples:
        """Cuts some pairs in the way of an epoch.

        Args:
            pairs: The pairs as they are without dropout.
            sources: The texts of their sources.
            targets: The texts of their targets.
            epoch: Number of the epoch.

        Returns:
            The same pairs in other tokens.
        """
        end = pairs.target_labels.values[pairs.target_labels.lengths[0] - 1]
        begin = pairs.target_inputs.values[0]
        source_end = pairs.sources.values[pairs.sources.lengths[0] - 1]
        labels = self._side(self.target, pairs.target_labels, targets, int(end), epoch)
        return PairExamples(
            sources=self._side(self.source, pairs.sources, sources, int(source_end), epoch),
            target_inputs=labels.cut_end().with_begin(int(begin)),
            target_labels=labels,
            num_truncated=pairs.num_truncated,
        )

    def _side(
        self,
        dropout: SubwordDropout | None,
        plain: FlatSequences,
        texts: Sequence[str],
        end: int,
        epoch: int,
    ) -> FlatSequences:
        """Cuts one side of the pairs."""
        if dropout is None:
            return plain
        cut = dropout.encode(texts, seed=self.seed, epoch=epoch).with_end(end)
        if self.max_length is None:
            return cut
        order = np.arange(len(plain))
        order[cut.lengths > self.max_length] += len(plain)
        return FlatSequences.join([cut, plain]).take(order)


class HeldPairs:
    """Pairs that are all there from the beginning.

    Args:
        examples: The pairs in tokens.
        rows: Their texts.
        dropout: Cuts them anew in each epoch; None leaves them as they are.
    """

    def __init__(self, examples: PairExamples, rows: Rows, dropout: PairDropout | None = None):
        self.examples = examples
        self._sources, self._targets = rows.column("source"), rows.column("target")
        self._dropout = dropout

    def lengths(self, epoch: int) -> Int64[np.ndarray, " examples"]:
        """Counts the tokens of each pair; see ``TrainingPairs``."""
        return self.examples.lengths

    def numbers(self, epoch: int, ids: Sequence[int]) -> list[int]:
        """Numbers pairs, anew in each epoch if it cuts them anew; see ``TrainingPairs``."""
        first = epoch * len(self.examples) if self._dropout else 0
        return [first + i for i in ids]

    def chosen(self, numbers: Sequence[int]) -> PairExamples:
        """Gives the pairs of a batch; see ``TrainingPairs``."""
        epoch = numbers[0] // len(self.examples)
        return self.cut([number % len(self.examples) for number in numbers], epoch)

    def cut(self, ids: Sequence[int], epoch: int) -> PairExamples:
        """Gives some of the pairs as an epoch cuts them.

        Args:
            ids: Positions of the pairs, at least one.
            epoch: Number of the epoch.

        Returns:
            The pairs, in the order of ``ids``.
        """
        pairs = self.examples.take(ids)
        if self._dropout is None:
            return pairs
        sources, targets = [self._sources[i] for i in ids], [self._targets[i] for i in ids]
        return self._dropout.again(pairs, sources, targets, epoch)


class StreamedPairs:
    """Pairs of a stream, of which one window is held at a time; each window counts as an epoch.

    A window without rows is an epoch without pairs.

    Args:
        stream: Where the rows come from.
        encode: Brings the rows of a window into tokens.
        dropout: Cuts them anew in each window; None leaves them as they are.
        held: Number and pairs of a window that has been read already; None if none has.
    """

    def __init__(
        self,
        stream: RowStream,
        encode: Callable[[Rows], PairExamples],
        dropout: PairDropout | None = None,
        held: tuple[int, HeldPairs] | None = None,
    ):
        self._stream = stream
        self._encode = encode
        self._dropout = dropout
        self._now = held

    def lengths(self, epoch: int) -> Int64[np.ndarray, " examples"]:
        """Counts the tokens of each pair of a window; see ``TrainingPairs``."""
        return self._window(epoch).examples.lengths

    def numbers(self, epoch: int, ids: Sequence[int]) -> list[int]:
        """Numbers pairs through all windows; see ``TrainingPairs``."""
        return [epoch * self._stream.size + i for i in ids]

    def chosen(self, numbers: Sequence[int]) -> PairExamples:
        """Gives the pairs of a batch; see ``TrainingPairs``."""
        epoch = numbers[0] // self._stream.size
        ids = [number % self._stream.size for number in numbers]
        return self._window(epoch).cut(ids, epoch)

    def _window(self, epoch: int) -> HeldPairs:
        """Gives a window, the present one without reading it again."""
        if self._now is None or self._now[0] != epoch:
            rows = self._stream.window(epoch)
            self._now = epoch, HeldPairs(self._encode(rows), rows, self._dropout)
        return self._now[1]
