"""Sequences and texts that lie on the disk and are read as if they were in memory.

Flat files in the form that batches are taken from anyway, not Arrow: a batch is cut out of them by
the same code as out of arrays in memory, so both ways give the same bits.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

import numpy as np
from jaxtyping import Int64, Integer

from lowkey.data.flat import FlatSequences
from lowkey.files import Scratch, ScratchFile

_READ_AT_ONCE = 4096


class SequenceStore:
    """Takes sequences portion by portion; values, lengths and starts go to the disk.

    Args:
        scratch: Where to.
        dtype: Type of the values.

    Raises:
        CannotWriteError: If the folder takes no file.
    """

    def __init__(self, scratch: Scratch, dtype: type[np.integer[Any]]):
        self._dtype = dtype
        self._values, self._lengths, self._starts = (scratch.file() for _ in range(3))
        self._end = 0

    def append(self, part: FlatSequences) -> None:
        """Adds sequences.

        Args:
            part: The sequences.

        Raises:
            CannotWriteError: If the disk is full or fails.
        """
        append_array(self._values, part.values.astype(self._dtype, copy=False))
        append_array(self._lengths, part.lengths)
        append_array(self._starts, self._end + part.starts)
        self._end += int(part.lengths.sum())

    def stored(self) -> FlatSequences:
        """Ends the writing.

        Returns:
            All sequences, on the disk.

        Raises:
            CannotWriteError: If the disk is full or fails.
        """
        return FlatSequences.at(
            np.frombuffer(self._values.mapped(), self._dtype),
            np.frombuffer(self._lengths.mapped(), np.int64),
            np.frombuffer(self._starts.mapped(), np.int64),
        )


class ColumnStore:
    """Takes the values of a column portion by portion.

    Args:
        scratch: Where to.
        to_text: Writes a value as a text.
        from_text: Reads it back.

    Raises:
        CannotWriteError: If the folder takes no file.
    """

    def __init__(
        self, scratch: Scratch, to_text: Callable[[Any], str], from_text: Callable[[str], Any]
    ):
        self._store = SequenceStore(scratch, np.uint8)
        self._to_text = to_text
        self._from_text = from_text

    def append(self, values: Sequence[Any]) -> None:
        """Adds values.

        Args:
            values: The values; their texts can be written as UTF-8.

        Raises:
            CannotWriteError: If the disk is full or fails.
        """
        texts = [self._to_text(value).encode() for value in values]
        lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        self._store.append(FlatSequences(np.frombuffer(b"".join(texts), np.uint8), lengths))

    def stored(self) -> "StoredColumn":
        """Ends the writing.

        Returns:
            All values, on the disk.

        Raises:
            CannotWriteError: If the disk is full or fails.
        """
        return StoredColumn(self._store.stored(), self._from_text)


class StoredColumn(Sequence[Any]):
    """The values of a column, on the disk.

    Args:
        texts: The values as texts in UTF-8.
        from_text: Reads one.
        places: Which of them the column has, in its order; None for all.
    """

    def __init__(
        self,
        texts: FlatSequences,
        from_text: Callable[[str], Any],
        places: Int64[np.ndarray, " rows"] | None = None,
    ):
        self._texts = texts
        self._from_text = from_text
        self._places = places

    def __len__(self) -> int:
        """Returns the number of values."""
        return len(self._texts if self._places is None else self._places)

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...

    def __getitem__(self, index: int | slice) -> Any:
        """Returns a value, or a list of values."""
        if isinstance(index, slice):
            return self._read(range(len(self))[index])
        return self._read([range(len(self))[index]])[0]

    def __iter__(self) -> Iterator[Any]:
        """Goes through the values, of which a few are in memory at a time."""
        for start in range(0, len(self), _READ_AT_ONCE):
            yield from self[start : start + _READ_AT_ONCE]

    def take(self, index: Int64[np.ndarray, " chosen"]) -> "StoredColumn":
        """Picks values without reading them.

        Args:
            index: Their positions.

        Returns:
            The column of these values.
        """
        places = index if self._places is None else self._places[index]
        return StoredColumn(self._texts, self._from_text, places)

    def _read(self, index: Sequence[int]) -> list[Any]:
        """Reads some values."""
        places = np.asarray(index, dtype=np.int64)
        if self._places is not None:
            places = self._places[places]
        data = self._texts.values.data
        starts, lengths = self._texts.starts[places], self._texts.lengths[places]
        return [
            self._from_text(str(data[start:end], "utf-8"))
            for start, end in zip(starts.tolist(), (starts + lengths).tolist(), strict=True)
        ]


def append_array(file: ScratchFile, values: Integer[np.ndarray, " values"]) -> None:
    """Adds the numbers of an array at the end of a file.

    Args:
        file: The file.
        values: The numbers.

    Raises:
        CannotWriteError: If the disk is full or fails.
    """
    file.append(np.ascontiguousarray(values).data)
