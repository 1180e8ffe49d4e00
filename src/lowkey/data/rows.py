"""The rows of one source under lowkey's own column names, checked and ready to use."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, overload

from lowkey.data.cells import (
    COUPLES,
    MAY_BE_EMPTY,
    as_list,
    first_of_other_kind,
    is_empty,
    kind_of,
)
from lowkey.data.config import DataConfig
from lowkey.data.missing_column import missing_column
from lowkey.data.table import Table
from lowkey.errors import DataError, shown

COMPANIONS = {"text": "text_pair", "source": "alternatives"}
"""Columns that are read too, where a file has them, when the column before them is needed."""

_HASHED_AT_ONCE = 10_000


@dataclass(frozen=True)
class Rows(Sequence[dict[str, Any]]):
    """Rows with standard columns only: texts, lists of ``tokens``, a label or a list of labels.

    Attributes:
        place: The source as messages name it.
        values: The values of each standard column that was found, in the order of the rows.
        source_names: The name that the source gives to each of these columns.
        file_columns: The names of all columns of the source, also those not read.
        numbers: Line of each row in its file, or its number in a format without lines; from 1.
        has_lines: Whether ``numbers`` are lines.
        num_dropped: Rows left out because a needed column was empty.
        places: The file of a column, for the columns that have one of their own.
    """

    place: str
    values: Mapping[str, Sequence[Any]]
    source_names: Mapping[str, str]
    file_columns: tuple[str, ...]
    numbers: Sequence[int]
    has_lines: bool = True
    num_dropped: int = 0
    places: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        """Returns the number of rows."""
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...

    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        """Returns a row as a dictionary of its standard columns, or a list of such rows."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return {name: column[index] for name, column in self.values.items()}

    @property
    def columns(self) -> tuple[str, ...]:
        """The standard columns that the rows have."""
        return tuple(self.values)

    def column(self, name: str) -> Sequence[Any]:
        """Returns all values of one standard column.

        Args:
            name: One of ``columns``.

        Returns:
            One value per row.

        Raises:
            KeyError: If the rows do not have the column.
        """
        return self.values[name]

    def where(self, index: int, column: str | None = None) -> str:
        """Says where a row stands, for messages.

        Args:
            index: Position of the row, from 0.
            column: The standard column that is meant, which may have a file of its own.

        Returns:
            ``file:line``, or ``file row number`` in a format without lines.
        """
        place = self.places.get(column or "", self.place)
        return f"{place}{':' if self.has_lines else ' row '}{self.numbers[index]}"

    @cached_property
    def sha256(self) -> str:
        """The hash of the content: equal for equal rows, whatever the format of the file."""
        # Of json.dumps(self.values, sort_keys=True), which need not be in memory as a whole.
        digest = hashlib.sha256(b"{")
        for place, name in enumerate(sorted(self.values)):
            digest.update(f"{', ' if place else ''}{json.dumps(name)}: [".encode())
            column = self.values[name]
            for start in range(0, len(self), _HASHED_AT_ONCE):
                part = json.dumps(list(column[start : start + _HASHED_AT_ONCE]))[1:-1]
                digest.update(f"{', ' if start else ''}{part}".encode())
            digest.update(b"]")
        digest.update(b"}")
        return digest.hexdigest()


def select_rows(
    table: Table, config: DataConfig, required: Sequence[str], *, may_be_none: bool = False
) -> Rows:
    """Takes the standard columns out of a table and checks every value of them.

    Args:
        table: What was read.
        config: Says how columns are named and what happens to empty values.
        required: Standard columns that must be there; their companions (text_pair beside text,
            alternatives beside source) come too if the table has them.
        may_be_none: Whether it is no error if no row is left, as in one part of a stream.

    Returns:
        The rows.

    Raises:
        DataError: If a required or mapped column is missing, a value is empty (unless
            ``data.empty`` is drop) or of a wrong type, if a row has not as many tags as tokens, or
            places as answers, or if no row is left and one must be.
    """
    companions = [COMPANIONS[name] for name in required if name in COMPANIONS]
    wanted = dict.fromkeys([*required, *companions])
    names = {name: config.columns.get(name, name) for name in wanted}
    if "label" in names and names["label"] not in table.names and table.has_lists("labels"):
        names["label"] = "labels"
    for name in wanted:
        if names[name] not in table.names and (name in required or name in config.columns):
            raise missing_column(table, name, names[name], required)
    names = {name: theirs for name, theirs in names.items() if theirs in table.names}
    rows = Rows(
        place=table.place,
        values={name: table.column(theirs)[: config.limit] for name, theirs in names.items()},
        source_names=names,
        file_columns=table.names,
        numbers=table.numbers[: config.limit],
        has_lines=table.lines is not None,
        places={n: table.places[theirs] for n, theirs in names.items() if theirs in table.places},
    )
    rows = _without_empty(rows, config.empty, "at least " if may_be_none else "")
    if not rows and not may_be_none:
        raise DataError(f"{table.place} holds no rows")
    rows = replace(rows, values={name: _checked(rows, name) for name in rows.columns})
    _refuse_unequal(rows)
    return rows


def _without_empty(rows: Rows, policy: str, at_least: str) -> Rows:
    """Refuses or drops rows with an empty column; lists, and what may be empty, are kept."""
    empty = {
        name: [i for i, v in enumerate(column) if is_empty(v) and not (name == "label" and v == [])]
        for name, column in rows.values.items()
        if name not in MAY_BE_EMPTY
    }
    dropped = set().union(*empty.values())
    if not dropped:
        return rows
    if policy == "error":
        name = next(name for name, indices in empty.items() if indices)
        count = len(empty[name])
        subject = at_least + ("1 row has" if count == 1 else f"{count} rows have")
        place = f"first: {rows.where(empty[name][0], name)}"
        raise DataError(
            f'{subject} an empty "{rows.source_names[name]}" ({place})',
            fix="delete them or set data.empty: drop",
        )
    kept = [i for i in range(len(rows)) if i not in dropped]
    values = {name: [column[i] for i in kept] for name, column in rows.values.items()}
    numbers = [rows.numbers[i] for i in kept]
    return replace(rows, values=values, numbers=numbers, num_dropped=len(dropped))


def _checked(rows: Rows, name: str) -> list[Any]:
    """Returns a column with every value of the right type, or says where one is not."""
    values = [as_list(value) if name in MAY_BE_EMPTY else value for value in rows.values[name]]
    kind = kind_of(name)
    for i, value in enumerate(values):
        if not kind.fits(value):
            raise DataError(
                f'"{rows.source_names[name]}" must be {kind.name}, got {shown(value)}',
                where=rows.where(i, name),
            )
    if name == "label" and (odd := first_of_other_kind(values)) is not None:
        raise DataError(
            f'"{rows.source_names[name]}" is {shown(values[odd])}, but {shown(values[0])} above',
            where=rows.where(odd, name),
            fix="write a list of labels in every row, or in none",
        )
    return values


def _refuse_unequal(rows: Rows) -> None:
    """Refuses rows that have not one tag for each word, or one place for each answer."""
    for one, other, fix in COUPLES:
        if not {one, other} <= rows.values.keys():
            continue
        for i, (first, second) in enumerate(zip(rows.column(one), rows.column(other), strict=True)):
            if len(first) != len(second):
                raise DataError(
                    f"{len(first)} {_named(rows, one)} and {len(second)} {_named(rows, other)}",
                    where=rows.where(i),
                    fix=fix,
                )


def _named(rows: Rows, name: str) -> str:
    """Writes a column as the file names it, if that is not our name."""
    theirs = rows.source_names[name]
    return name if theirs == name else f'{name} ("{theirs}")'
