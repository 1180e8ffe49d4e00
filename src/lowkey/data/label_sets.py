"""Rows that have a list of labels each: which labels there are, and their ids."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64

from lowkey.data.flat import FlatSequences
from lowkey.data.label_lists import refuse_single_labels
from lowkey.data.labels import MAX_INTEGER_CLASSES, LabelMap, in_order, label_name
from lowkey.data.rows import Rows
from lowkey.errors import DataError, shown


def label_set_map(rows: Rows, names: Sequence[str | int] | None = None) -> LabelMap:
    """Finds the labels of the training rows.

    Args:
        rows: Training rows with a list of labels each.
        names: The labels in the order wanted (``data.labels``); by default those found: integers
            in their natural order, other names sorted.

    Returns:
        The map.

    Raises:
        DataError: If the rows have single labels, if none has a label, if all have the same ones,
            if there is one label alone, or so many that they must be text.
    """
    refuse_single_labels(rows)
    sets = [frozenset(map(label_name, values)) for values in rows.column("label")]
    counts = Counter(name for values in sets for name in values)
    column = rows.source_names["label"]
    others = ", ".join(name for name in rows.file_columns if name != column)
    fix = "check data.columns: {label: " + column + "}" + f" (other columns: {others})"
    if not counts:
        raise DataError(f"none of the {len(rows)} rows of {rows.place} has a label", fix=fix)
    if len(set(sets)) == 1:
        same = ", ".join(in_order(sets[0]))
        what = f"all {len(rows)} rows of {rows.place} have the same labels, {shown(same)}"
        raise DataError(what, fix=fix)
    if names is not None:
        return LabelMap([label_name(name) for name in names])
    if len(counts) == 1:
        raise DataError(
            f"{shown(next(iter(counts)))} is the one label in {rows.place}",
            fix='give each row one of two labels, such as "yes" and "no", for task: classify',
        )
    if len(counts) > max(MAX_INTEGER_CLASSES, len(rows) // 2):
        raise DataError(
            f'{rows.place}: column "{column}" has {len(counts)} different labels in {len(rows)}'
            " rows; most of them cannot be learned",
            fix="list those to learn in data.labels and drop the others, or check"
            " data.columns: {label: " + column + "}",
        )
    return LabelMap(in_order(counts))


@dataclass(frozen=True, eq=False)
class LabelSets:
    """The labels of each row, which may be none, as ids.

    Attributes:
        ids: The ids of the labels of each row, from 0, each once.
        num_labels: How many labels there are.

    Example:
        >>> sets = LabelSets(FlatSequences.of([[1], [], [0, 1]]), 2)
        >>> sets[[2, 0]].tolist()
        [[1.0, 1.0], [0.0, 1.0]]
    """

    ids: FlatSequences
    num_labels: int

    @classmethod
    def from_rows(cls, rows: Rows, labels: LabelMap) -> "LabelSets":
        """Turns lists of labels into ids.

        Args:
            rows: Rows with a list of labels each, of any split.
            labels: The labels that there are.

        Returns:
            The labels of each row.

        Raises:
            DataError: If the rows have single labels, or a label is not among them.
        """
        refuse_single_labels(rows)
        sequences = [
            list(dict.fromkeys(labels.find(label_name(value)) for value in values))
            for values in rows.column("label")
        ]
        for i, ids in enumerate(sequences):
            if -1 in ids:
                names = map(label_name, rows.column("label")[i])
                raise labels.unknown(next(n for n in names if labels.find(n) < 0), rows.where(i))
        return cls(FlatSequences.of(sequences), len(labels))

    def __len__(self) -> int:
        """Returns the number of rows."""
        return len(self.ids)

    def __getitem__(self, rows: Sequence[int]) -> Float32[np.ndarray, "rows labels"]:
        """Says of some rows and each label whether the label holds: 1 where it does, else 0."""
        chosen = self.ids.take(rows)
        table = np.zeros((len(chosen), self.num_labels), dtype=np.float32)
        table[np.repeat(np.arange(len(chosen)), chosen.lengths), chosen.values] = 1
        return table

    @property
    def table(self) -> Bool[np.ndarray, "rows labels"]:
        """Whether each label holds of each row."""
        return self[range(len(self))] > 0

    @property
    def counts(self) -> Int64[np.ndarray, " labels"]:
        """Of how many rows each label holds."""
        return np.bincount(self.ids.values, minlength=self.num_labels)
