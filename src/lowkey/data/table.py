"""What every reader gives: named columns of raw values, and where each row stands."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
        places: The file of a column, for the columns that have one of their own.
        first: Number of its first row in the source, from 1, for formats without lines.
        part: Gives the rows from one position to before another, without reading the others; None
            if all were read.
    """

    place: str
    names: tuple[str, ...]
    column: Callable[[str], list[Any]]
    num_rows: int
    lines: Sequence[int] | None = None
    places: Mapping[str, str] = field(default_factory=dict)
    first: int = 1
    part: Callable[[int, int], "Table"] | None = None

    @property
    def numbers(self) -> Sequence[int]:
        """Line of each row or, in a format without lines, its number; from 1."""
        if self.lines is not None:
            return self.lines
        return range(self.first, self.first + self.num_rows)

    def has_lists(self, name: str) -> bool:
        """Says whether there is a column whose cells hold lists.

        Args:
            name: Its name.

        Returns:
            Whether it is there and holds any.
        """
        return name in self.names and any(isinstance(cell, list) for cell in self.column(name))


def table_of_records(place: str, records: Sequence[dict[str, Any]], lines: Sequence[int]) -> Table:
    """Builds the table of rows that were read one by one.

    Args:
        place: The file, for messages.
        records: The rows; a key that a row lacks counts as empty there.
        lines: Line of the file each row begins on, from 1.

    Returns:
        The table; its columns are all keys, in the order in which they first occur. A key whose
        values are objects gives way to their keys, such as ``translation.en``.

    Example:
        >>> table = table_of_records("a.jsonl", [{"id": 1, "translation": {"en": "yes"}}], [1])
        >>> table.names, table.column("translation.en")
        (('id', 'translation.en'), ['yes'])
    """
    names = dict.fromkeys(name for record in records for name in _names(record))
    return Table(
        place=place,
        names=tuple(names),
        column=lambda name: [_value(record, name) for record in records],
        num_rows=len(records),
        lines=lines,
    )


def _names(record: Mapping[str, Any]) -> Iterator[str]:
    """Names the values of an object, those of objects inside it by the way to them."""
    for name, value in record.items():
        if isinstance(value, dict):
            yield from (f"{name}.{inner}" for inner in _names(value))
        else:
            yield name


def _value(record: Mapping[str, Any], name: str) -> Any:
    """Looks a value up; a key that itself holds a dot comes before the way into an object."""
    if name in record or "." not in name:
        return record.get(name)
    for end in (i for i, char in enumerate(name) if char == "."):
        inner = record.get(name[:end])
        if isinstance(inner, dict) and (value := _value(inner, name[end + 1 :])) is not None:
            return value
    return None
