"""What every reader gives: named columns of raw values, and where each row stands."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Table:
    """A file or data set as it was read, before any column is chosen or checked.

    Attributes:
        place: The source as messages name it.
        names: The names of its columns, in order.
        column: Gives the values of the column of a name; None where a row has none.
        num_rows: Number of rows.
        lines: Line of the file each row begins on, from 1; None for formats without lines.
    """

    place: str
    names: tuple[str, ...]
    column: Callable[[str], list[Any]]
    num_rows: int
    lines: Sequence[int] | None = None


def table_of_records(place: str, records: Sequence[dict[str, Any]], lines: Sequence[int]) -> Table:
    """Builds the table of rows that were read one by one.

    Args:
        place: The file, for messages.
        records: The rows; a key that a row lacks counts as empty there.
        lines: Line of the file each row begins on, from 1.

    Returns:
        The table; its columns are all keys, in the order in which they first occur.
    """
    names = dict.fromkeys(name for record in records for name in record)
    return Table(
        place=place,
        names=tuple(names),
        column=lambda name: [record.get(name) for record in records],
        num_rows=len(records),
        lines=lines,
    )
