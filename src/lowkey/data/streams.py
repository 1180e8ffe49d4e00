"""Rows that are read as they are needed, window by window, from files or the Hub."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count, islice
from pathlib import Path
from typing import Any

from lowkey.data.config import DataConfig
from lowkey.data.hub import hub_revision, stream_file, stream_hub
from lowkey.data.parallel_files import parallel_names, parallel_records
from lowkey.data.places import HUB_NAME, format_of, missing_file
from lowkey.data.rows import Rows, select_rows
from lowkey.data.table import table_of_records
from lowkey.errors import ConfigError, DataError

Records = Callable[[int], Iterator[dict[str, Any]]]
"""Begins to read anew, after so many rows that are skipped."""

Identity = Callable[[], str]
"""Tells one state of a source from another; see ``RowStream.identity``."""


class RowStream:
    """An endless sequence of windows of rows: pass after pass over a source, in its order.

    Window n is a pure function of the source and n. Read in order, nothing is read twice; any
    other window, such as the one in which a run is resumed, is reached by skipping. A window may
    be without rows, if all of them are dropped; a whole pass may not.

    Args:
        source: ``owner/name`` on the Hub, a .jsonl or .parquet file, or two files of lines.
        config: How it is to be read, and how long a window is.
        required: Standard columns that must be there.
        key: The key that names the source, for messages.

    Raises:
        ConfigError: If a source of this kind cannot be streamed.
        MissingInputError: If it is not there.
        DataError: If it cannot be opened.
        UnavailableError: If the Hub is needed and cannot be reached.
    """

    def __init__(self, source: str, config: DataConfig, required: Sequence[str], key: str):
        self.place = source
        self.size = config.window
        self._config = config.model_copy(update={"limit": None})
        self._limit = config.limit
        self._required = required
        self._records, self._identity = _open(source, config, key)
        self._rows: Iterator[dict[str, Any]] = iter(())
        self._next = -1  # the window that the open iterator comes to next
        self._total: int | None = None  # rows of one pass, once its end was seen
        self._without_rows: set[int] = set()  # windows of a pass in which all rows are dropped
        # One thread does all the reading, the next window while the model learns from this one.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="stream")
        self._ahead: tuple[int, Future[Rows]] | None = None

    def first(self) -> tuple[int, Rows]:
        """Gives the first window that holds rows.

        Returns:
            Its number and its rows.

        Raises:
            DataError: If a row is not what it should be, or the source holds none.
        """
        return next((number, rows) for number in count() if (rows := self.window(number)))

    def identity(self) -> str:
        """Tells one state of the source from another without reading it.

        Returns:
            Size and time of the last change of each file, or the revision on the Hub; empty if
            the Hub does not tell it.
        """
        return self._identity()

    def window(self, number: int) -> Rows:
        """Gives the rows of one window, and begins to read the one after it.

        Args:
            number: Number of the window, from 0, through all passes.

        Returns:
            The rows that are left when empty ones are dropped, perhaps none.

        Raises:
            DataError: If a row is not what it should be, or no window holds any.
        """
        ahead, self._ahead = self._ahead, None
        if ahead is None or ahead[0] != number:
            ahead = number, self._thread.submit(self._read, number)
        rows = ahead[1].result()
        self._ahead = number + 1, self._thread.submit(self._read, number + 1)
        return rows

    def _read(self, number: int) -> Rows:
        """Reads a window; at the end of a pass it goes on with the first window of the next."""
        index = self._index(number)
        in_order = self._next == index
        if not in_order:
            self._restart(index)
        records = list(islice(self._rows, self.size))
        if len(records) < self.size and self._total is None:
            # Skipping may have gone beyond the end, which then is somewhere before.
            ends_here = records or in_order or index == 0
            self._total = index * self.size + len(records) if ends_here else self._count()
            if not self._total:
                raise DataError(f"{self.place} holds no rows")
        if not records:
            index = self._index(number)
            self._restart(index)
            records = list(islice(self._rows, self.size))
        self._next = index + 1
        first = index * self.size + 1
        table = table_of_records(self.place, records, range(first, first + len(records)))
        rows = select_rows(table, self._config, self._required, may_be_none=True)
        if not rows:
            self._without_rows.add(index)
            # Only the end of a pass shows that there is nothing to go on with.
            if self._total and len(self._without_rows) == self._windows(self._total):
                raise DataError(f"{self.place} holds no rows")
        return rows

    def _index(self, number: int) -> int:
        """Gives the number of a window within its pass, as far as the length of one is known."""
        return number if self._total is None else number % self._windows(self._total)

    def _windows(self, total: int) -> int:
        """Counts the windows of a pass over so many rows."""
        return -(-total // self.size)

    def _restart(self, index: int) -> None:
        """Goes to the beginning of a window of the pass."""
        start = index * self.size
        stop = None if self._limit is None else max(0, self._limit - start)
        self._rows = islice(self._records(start), stop)

    def _count(self) -> int:
        """Counts the rows of a pass."""
        return sum(1 for _ in islice(self._records(0), self._limit))


def _open(source: str, config: DataConfig, key: str) -> tuple[Records, Identity]:
    """Finds out what kind of source this is."""
    names = None if Path(source).exists() else parallel_names(source, key)
    if names:
        paths = [Path(os.path.expanduser(name)) for name in names]
        for path in paths:
            if not path.exists():
                raise missing_file(path, key)
        return (
            lambda skip: islice(parallel_records(paths, config.encoding), skip, None),
            _state_of(paths),
        )
    path = Path(os.path.expanduser(source))
    kind = (format_of(path) if config.format == "auto" else config.format) or ""
    if path.is_file() and kind in ("jsonl", "parquet"):
        if kind == "jsonl" and "\n".encode(config.encoding) != b"\n":
            raise ConfigError(
                f"{source} cannot be streamed in {config.encoding}",
                where="data.encoding",
                fix="convert it to utf-8, or set data.streaming: false",
            )
        return stream_file(path, kind, config.encoding), _state_of([path])
    hub = HUB_NAME.fullmatch(source)
    if hub and not path.exists() and not kind:
        name, configuration, split = hub.groups()
        return stream_hub(name, configuration, split or "train"), lambda: hub_revision(name)
    if not path.exists():
        raise missing_file(path, key)
    raise ConfigError(
        f"{source} cannot be streamed",
        where=key,
        fix="give .jsonl, .parquet, two files of lines or a Hub name, or data.streaming: false",
    )


def _state_of(paths: Sequence[Path]) -> Identity:
    """Takes down size and time of the last change of files, before they are read."""
    stats = [path.stat() for path in paths]
    state = ", ".join(f"{stat.st_size} bytes of {stat.st_mtime_ns} ns" for stat in stats)
    return lambda: state
