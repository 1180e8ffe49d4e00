"""What the labels of a set are: names of classes or numbers, and which task they make."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from lowkey.data.label_lists import holds_lists, refuse_lists
from lowkey.data.rows import Rows
from lowkey.errors import DataError, did_you_mean, shown

MAX_INTEGER_CLASSES = 20
"""Integer labels with more different values than this may be measurements."""

_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)", re.ASCII)
# 007 is the name of something, not the number 7, and stays one.
_NUMBER = re.compile(r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]+)?", re.ASCII | re.I)


class TaskChoice(NamedTuple):
    """A task and the reason for it, to be printed."""

    task: Literal["classify", "pair", "multilabel", "regress", "tag", "answer", "mlm"]
    reason: str


def detect_task(rows: Rows) -> TaskChoice:
    """Decides from the columns of the training rows what is to be learned.

    Args:
        rows: Training rows with ``text`` and ``label``.

    Returns:
        ``multilabel`` for lists of labels; ``regress`` for decimal labels, or for integers with
        more than 20 different values that are more than 2 % of the rows; else ``pair`` if there is
        a ``text_pair``, else ``classify``; with a reason of one line.
    """
    if holds_lists(rows):
        different = {label_name(value) for values in rows.column("label") for value in values}
        return TaskChoice(
            "multilabel", f"each row has a list of labels, {len(different)} different ones"
        )
    names = {label_name(value) for value in rows.column("label")}
    found = f"{len(names)} different labels"
    if all(map(_WHOLE.fullmatch, names)):
        if len(names) > max(MAX_INTEGER_CLASSES, len(rows) // 50):
            return TaskChoice("regress", f"the labels are whole numbers with {len(names)} values")
    elif all(map(_NUMBER.fullmatch, names)):
        decimal = next(name for name in sorted(names) if not _WHOLE.fullmatch(name))
        return TaskChoice("regress", f"the labels are decimal numbers such as {decimal}")
    if "text_pair" in rows.columns:
        return TaskChoice("pair", f"there is a column text_pair, and {found}")
    return TaskChoice("classify", found)


def label_name(value: str | int | float) -> str:
    """Writes a label as the name of a class, the same for JSON and CSV.

    Args:
        value: A label as it was read.

    Returns:
        Texts without the white space around them, numbers in decimal, ``true`` and ``false``.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.strip() if isinstance(value, str) else str(value)


def in_order(names: Iterable[str]) -> list[str]:
    """Orders the names of classes, and with it their ids.

    Args:
        names: The names.

    Returns:
        Whole numbers in their natural order, other names sorted.
    """
    names = list(names)
    return sorted(names, key=int) if all(map(_WHOLE.fullmatch, names)) else sorted(names)


def label_numbers(rows: Rows) -> Float32[np.ndarray, " rows"]:
    """Reads the labels as numbers, for regression.

    Args:
        rows: Rows with ``label``.

    Returns:
        The numbers, in the precision in which they are learned.

    Raises:
        DataError: If the rows have lists of labels, or a label is not a finite number in decimal
            notation.
    """
    refuse_lists(rows)
    numbers = np.empty(len(rows), dtype=np.float32)
    for i, value in enumerate(rows.column("label")):
        name = label_name(value)
        with np.errstate(over="ignore"):
            numbers[i] = float(name) if _NUMBER.fullmatch(name) else math.nan
        if not math.isfinite(numbers[i]):
            raise DataError(f"label {shown(value)} is not a number", where=rows.where(i))
    return numbers


class LabelMap:
    """The classes of a set, decided once from its training rows.

    Args:
        names: The name of each class, in the order of their ids.

    Example:
        >>> labels = LabelMap(["negative", "positive"])
        >>> len(labels), labels.names[1]
        (2, 'positive')
    """

    def __init__(self, names: Sequence[str]):
        self.names = tuple(names)
        self._ids = {name: i for i, name in enumerate(names)}

    @classmethod
    def from_rows(cls, rows: Rows, names: Sequence[str | int] | None = None) -> "LabelMap":
        """Finds the classes of the training rows.

        Args:
            rows: Training rows with ``label``.
            names: The classes in the order wanted (``data.labels``); by default those found:
                integers in their natural order, other names sorted.

        Returns:
            The map.

        Raises:
            DataError: If the rows have lists of labels, if all rows have the same label, or if
                nearly every row has its own.
        """
        refuse_lists(rows)
        counts = Counter(map(label_name, rows.column("label")))
        if len(counts) == 1:
            raise _one_label(rows, next(iter(counts)))
        if names is not None:
            return cls([label_name(name) for name in names])
        if len(counts) > max(MAX_INTEGER_CLASSES, len(rows) // 2):
            raise _text_as_label(rows, len(counts))
        return cls(in_order(counts))

    def __len__(self) -> int:
        """Returns the number of classes."""
        return len(self.names)

    def ids(self, rows: Rows) -> Int64[np.ndarray, " rows"]:
        """Turns labels into the ids of their classes.

        Args:
            rows: Rows with ``label``, of any split.

        Returns:
            An id from 0 for each row.

        Raises:
            DataError: If the rows have lists of labels, or a label is not among the classes.
        """
        refuse_lists(rows)
        ids = [self.find(label_name(value)) for value in rows.column("label")]
        if -1 in ids:
            row = ids.index(-1)
            raise self.unknown(label_name(rows.column("label")[row]), rows.where(row))
        return np.array(ids, dtype=np.int64)

    def find(self, name: str) -> int:
        """Looks up a class.

        Args:
            name: Its name.

        Returns:
            Its id; -1 if there is no such class.
        """
        return self._ids.get(name, -1)

    def unknown(self, name: str, where: str, kind: str = "label") -> DataError:
        """Names a label that is none of the classes, and the class it may stand for.

        Args:
            name: The label.
            where: Where it stands.
            kind: What labels are called here.

        Returns:
            The error to raise.
        """
        known = ", ".join(self.names[:10]) + (", ..." if len(self) > 10 else "")
        near = did_you_mean(name, self.names)
        return DataError(
            f"{kind} {shown(name)} ({where}) is not among the {kind}s {known}",
            fix=f"did you mean {shown(near)}?" if near else "mend it, or list all in data.labels",
        )


def _one_label(rows: Rows, name: str) -> DataError:
    """Says that there is nothing to learn, and which column may hold the real labels."""
    column = rows.source_names["label"]
    others = ", ".join(name for name in rows.file_columns if name != column)
    return DataError(
        f"all {len(rows)} rows of {rows.place} have the label {shown(name)}",
        fix="check data.columns: {label: " + column + "}" + f" (other columns: {others})",
    )


def _text_as_label(rows: Rows, num_values: int) -> DataError:
    """Says that the label column holds free text."""
    column = rows.source_names["label"]
    taken = set(rows.source_names.values())
    free = [name for name in rows.file_columns if name not in taken]
    usual = ("label", "class", "category", "sentiment", "rating", "stars", "score")
    meant = next((name for name in usual if name in free), free[0] if len(free) == 1 else None)
    wanted = "data.columns: {label: " + (meant or "...") + "}"
    return DataError(
        f'{rows.place}: column "{column}" has {num_values} different values in {len(rows)} rows; '
        "that is text, not a label",
        fix=f"set {wanted} if that is the column of classes" if meant else f"name it with {wanted}",
    )
