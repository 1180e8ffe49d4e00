"""Rows of a source that need not fit into memory: read in portions and laid down on the disk."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from lowkey.data.arrow import read_parquet_parts, read_saved_folder
from lowkey.data.config import DataConfig
from lowkey.data.hub import read_hub
from lowkey.data.json_rows import parse_json_lines
from lowkey.data.parallel_files import parallel_records
from lowkey.data.places import HubSplit, find_source, format_of, split_of
from lowkey.data.rows import Rows, select_rows
from lowkey.data.sources import read_rows, readable, refuse_tables
from lowkey.data.stored import ColumnStore, StoredColumn, append_array
from lowkey.data.table import Table, table_of_records
from lowkey.data.text_files import read_data_lines
from lowkey.data.toys import PREFIX
from lowkey.errors import ConfigError, DataError
from lowkey.files import Scratch

PORTION = 10_000
"""Rows that are in memory at a time."""

LARGE_BYTES = 50_000_000
"""Size of the files, packed as they are, from which on rows go to the disk by themselves."""

LARGE_ROWS = 500_000
"""Number of rows from which on those of the Hub and of saved folders do."""


@dataclass(frozen=True)
class _Opened:
    """A source that can be read in portions.

    Attributes:
        is_large: Whether its rows go to the disk by themselves.
        tables: Its portions; nothing is read before the first is asked for.
        table: All of it, if that is at hand without having been read.
    """

    is_large: bool
    tables: Iterator[Table]
    table: Table | None = None


def read_training_rows(
    source: str, config: DataConfig, required: Sequence[str], scratch: Scratch, *, key: str
) -> Rows:
    """Reads the rows of one source as ``read_rows`` does; many of them are laid on the disk.

    Args:
        source: The source as the user names it.
        config: How it is to be read; ``memory_map`` says whether to use the disk.
        required: Standard columns that must be there.
        scratch: Where to lay the rows.
        key: The key that names the source.

    Returns:
        The rows, equal to those of ``read_rows``; their columns are of ``StoredColumn`` if they
        are on the disk.

    Raises:
        ConfigError: If the disk is asked for and the source cannot be read in portions.
        MissingInputError: If it is not there.
        UnavailableError: If the Hub is needed and cannot be reached.
        DataError: If the content is not what it should be.
        CannotWriteError: If the disk is full or cannot be written to.
    """
    if config.memory_map is False:
        return read_rows(source, config, required, key=key)
    with readable(source, key):
        opened = _open(source, config, key)
        if opened is None and config.memory_map is True:
            raise ConfigError(
                f"{source} cannot be read in portions",
                where="data.memory_map",
                fix="give .jsonl, .parquet, two files of lines or a Hub name, or set it to auto",
            )
        if opened is not None and (config.memory_map is True or opened.is_large):
            return store_rows(source, _portions(opened.tables, config, required), scratch)
    if opened is not None and opened.table is not None and opened.table.num_rows:
        return select_rows(opened.table, config, required)
    return read_rows(source, config, required, key=key)


def is_stored(rows: Rows) -> bool:
    """Tells where rows are.

    Args:
        rows: Some rows.

    Returns:
        Whether they are on the disk.
    """
    return any(isinstance(column, StoredColumn) for column in rows.values.values())


def take_stored(rows: Rows, index: Int64[np.ndarray, " chosen"]) -> Rows:
    """Picks rows that are on the disk without reading them.

    Args:
        rows: The rows.
        index: Their positions.

    Returns:
        The rows picked, in the order of ``index``.
    """
    values = {
        name: column.take(index) if isinstance(column, StoredColumn) else column
        for name, column in rows.values.items()
    }
    return replace(rows, values=values, numbers=np.asarray(rows.numbers)[index].data)


def store_rows(place: str, portions: Iterable[Rows], scratch: Scratch) -> Rows:
    """Lays rows down on the disk.

    Args:
        place: The source as messages name it.
        portions: The rows; ``alternatives`` may be missing in some portions.
        scratch: Where to.

    Returns:
        All of them; columns and numbers are on the disk.

    Raises:
        DataError: If there are none.
        CannotWriteError: If the disk is full or cannot be written to.
    """
    columns: dict[str, ColumnStore] = {}
    numbers = scratch.file()
    count = dropped = 0
    last: Rows | None = None
    for rows in portions:
        for name in dict.fromkeys([*rows.columns, *columns]):
            if name not in columns:
                columns[name] = _column_store(name, scratch)
                columns[name].append([[]] * count)
            # Only alternatives may be missing: select_rows insists on every other column.
            columns[name].append(rows.values.get(name, [[]] * len(rows)))
        append_array(numbers, np.asarray(rows.numbers, dtype=np.int64))
        count, dropped, last = count + len(rows), dropped + rows.num_dropped, rows
    if last is None or not count:
        raise DataError(f"{place} holds no rows")
    return replace(
        last,
        values={name: column.stored() for name, column in columns.items()},
        source_names={**{name: name for name in columns}, **last.source_names},
        numbers=numbers.mapped().cast("q"),
        num_dropped=dropped,
    )


def _column_store(name: str, scratch: Scratch) -> ColumnStore:
    """Opens the store of a standard column: of texts, or of lists of them."""
    if name == "alternatives":
        return ColumnStore(scratch, json.dumps, json.loads)
    return ColumnStore(scratch, str, str)


def _open(source: str, config: DataConfig, key: str) -> _Opened | None:
    """Finds out what kind of source this is; None if it can be read as a whole only."""
    if source.startswith(PREFIX):
        return None
    found = find_source(source, key)
    if isinstance(found, tuple) and not isinstance(found, HubSplit):
        refuse_tables(source, found, config, key)
        return _Opened(_are_large(*found), _tables_of_lines(source, found, config))
    if isinstance(found, HubSplit) or found.is_dir():
        hub = isinstance(found, HubSplit)
        table = read_hub(*found) if hub else read_saved_folder(found, split_of(key))
        return _Opened(table.num_rows >= LARGE_ROWS, _tables_of_parts(table), table)
    kind = format_of(found) if config.format == "auto" else config.format
    if kind == "jsonl":
        return _Opened(_are_large(found), _tables_of_json(found, config))
    if kind == "parquet":
        return _Opened(_are_large(found), read_parquet_parts(found, PORTION))
    return None


def _are_large(*paths: Path) -> bool:
    """Tells whether files are too large to be held in memory without need."""
    return sum(path.stat().st_size for path in paths) >= LARGE_BYTES


def _portions(
    tables: Iterable[Table], config: DataConfig, required: Sequence[str]
) -> Iterator[Rows]:
    """Takes the standard columns out of each table, as ``select_rows`` does of a whole one."""
    left = config.limit
    for table in tables:
        if left == 0:
            return
        if table.num_rows:
            some = config.model_copy(update={"limit": left})
            yield select_rows(table, some, required, may_be_none=True)
        left = None if left is None else max(0, left - table.num_rows)


def _tables_of_lines(source: str, paths: tuple[Path, Path], config: DataConfig) -> Iterator[Table]:
    """Reads two files of lines."""
    records = parallel_records(paths, config.encoding)
    files = dict(zip(("source", "target"), map(str, paths), strict=True))
    first = 1
    while some := list(islice(records, PORTION)):
        numbers = range(first, first + len(some))
        yield replace(table_of_records(source, some, numbers), places=files)
        first += len(some)


def _tables_of_json(path: Path, config: DataConfig) -> Iterator[Table]:
    """Reads a file of one JSON object a line."""
    lines = read_data_lines(path, config.encoding)
    names: dict[str, None] = {}
    first = 1
    while some := list(islice(lines, PORTION)):
        table = parse_json_lines("\n".join(some), str(path), first)
        # A key that a whole portion lacks, and none before it, is empty there and not unknown.
        names |= dict.fromkeys(table.names)
        yield replace(table, names=tuple(names))
        first += len(some)


def _tables_of_parts(table: Table) -> Iterator[Table]:
    """Cuts up a table that can be read in parts."""
    if table.part is not None:
        for start in range(0, table.num_rows, PORTION):
            yield table.part(start, start + PORTION)
