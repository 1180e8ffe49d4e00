"""The record of a run as JSON Lines: a line a call, and a file that can be cut back."""

import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lowkey.errors import CannotWriteError, DataError


class JsonlTracker:
    """Writes ``metrics.jsonl`` and ``timings.jsonl``.

    Values whose name starts with ``time/`` (seconds, tokens per second) go to the second
    file. So equal runs have equal metrics, byte for byte. A number that is not finite is
    written as null. Texts, pictures and settings have other places in a run folder.

    Args:
        folder: The run folder. Files that are there are gone on with; a last line that was
            cut short is dropped.

    Raises:
        CannotWriteError: If a file cannot be opened.
    """

    def __init__(self, folder: Path):
        self.metrics = _Lines(folder / "metrics.jsonl")
        self.timings = _Lines(folder / "timings.jsonl")

    def log(self, step: int, values: Mapping[str, int | float]) -> None:
        """Writes one line to each file that has a value.

        Args:
            step: Updates made.
            values: Numbers by name.

        Raises:
            CannotWriteError: If the line cannot be written; nothing of it is then left.
        """
        timings = {name: value for name, value in values.items() if name.startswith("time/")}
        metrics = {name: value for name, value in values.items() if name not in timings}
        for lines, part in ((self.metrics, metrics), (self.timings, timings)):
            if part:
                record = {name: _plain(value) for name, value in part.items()}
                lines.append({**record, "step": step})

    def config(self, config: Mapping[str, Any]) -> None:
        """Does nothing: the run folder holds the recipe.

        Args:
            config: Ignored.
        """

    def text(self, step: int, name: str, text: str) -> None:
        """Does nothing: the report shows texts.

        Args:
            step: Ignored.
            name: Ignored.
            text: Ignored.
        """

    def image(self, step: int, name: str, png: bytes) -> None:
        """Does nothing: the report shows pictures.

        Args:
            step: Ignored.
            name: Ignored.
            png: Ignored.
        """

    def offset(self) -> int:
        """Forces the metrics to the disk, for a checkpoint to refer to.

        Returns:
            The length of ``metrics.jsonl``, in bytes.

        Raises:
            CannotWriteError: If the disk refuses.
        """
        return self.metrics.sync()

    def rewind(self, offset: int) -> None:
        """Cuts off the metrics that were logged after a checkpoint; timings stay.

        Args:
            offset: What ``offset`` gave then; 0 for the beginning.

        Raises:
            DataError: If the file is shorter, or has no end of a line there.
            CannotWriteError: If the file cannot be cut.
        """
        self.metrics.cut(offset)

    def close(self) -> None:
        """Closes both files."""
        self.metrics.file.close()
        self.timings.file.close()


class _Lines:
    """A file of whole lines."""

    def __init__(self, path: Path):
        self.path = path
        try:
            # Not through a link: a run folder may come from somebody else.
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
            self.file = os.fdopen(os.open(path, flags, 0o666), "r+b", buffering=0)
            self.length = self.file.read().rfind(b"\n") + 1
            self._drop_tail()
        except OSError as error:
            raise self._cannot_write(error) from None

    def append(self, record: Mapping[str, Any]) -> None:
        line = json.dumps(record, sort_keys=True, allow_nan=False).encode() + b"\n"
        rest = line
        try:
            while rest:  # a disk that fills up takes a part before it refuses
                rest = rest[self.file.write(rest) :]
        except OSError as error:
            with suppress(OSError):
                self._drop_tail()
            raise self._cannot_write(error) from None
        self.length += len(line)

    def sync(self) -> int:
        try:
            os.fsync(self.file.fileno())
        except OSError as error:
            raise self._cannot_write(error) from None
        return self.length

    def cut(self, offset: int) -> None:
        self.file.seek(max(offset - 1, 0))
        if offset > self.length or (offset and self.file.read(1) != b"\n"):
            what = f"it does not hold the {offset} bytes of whole lines that the checkpoint counts"
            raise DataError(what, where=str(self.path), fix="begin the run anew")
        self.length = offset
        try:
            self._drop_tail()
        except OSError as error:
            raise self._cannot_write(error) from None

    def _drop_tail(self) -> None:
        self.file.truncate(self.length)
        self.file.seek(self.length)

    def _cannot_write(self, error: OSError) -> CannotWriteError:
        return CannotWriteError(f"cannot write {self.path}: {error.strerror or error}")


def _plain(value: int | float) -> int | float | None:
    """Returns what JSON can hold of a number."""
    return value if math.isfinite(value) else None
