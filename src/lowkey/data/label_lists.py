"""One label for each row, or a list of them: which it is, and what to do where it is the other."""

from lowkey.data.rows import Rows
from lowkey.errors import DataError, shown

_NO_LISTS = (".csv", ".tsv", ".csv.gz", ".tsv.gz")


def holds_lists(rows: Rows) -> bool:
    """Says whether each row has a list of labels in place of one.

    Args:
        rows: Rows with ``label``.

    Returns:
        Whether it is so; rows of both kinds are refused when they are read.
    """
    return isinstance(rows.column("label")[0], list)


def refuse_lists(rows: Rows) -> None:
    """Refuses rows with lists of labels where each is to have one.

    Args:
        rows: Rows with ``label``.

    Raises:
        DataError: If they have lists.
    """
    if holds_lists(rows):
        raise DataError(
            f'"{rows.source_names["label"]}" is a list, {shown(rows.column("label")[0])},'
            " where one label is needed",
            where=rows.where(0, "label"),
            fix="task: multilabel learns lists of labels",
        )


def refuse_single_labels(rows: Rows) -> None:
    """Refuses rows with one label each where each is to have a list of them.

    Args:
        rows: Rows with ``label``.

    Raises:
        DataError: If they have single labels.
    """
    if holds_lists(rows):
        return
    first = rows.column("label")[0]
    fix = f"write [{shown(first)}], or set task: classify if each text has one label"
    if rows.place.lower().endswith(_NO_LISTS):
        fix = "CSV and TSV hold no lists: give .jsonl, .json or .parquet"
    raise DataError(
        f'"{rows.source_names["label"]}" is {shown(first)}, where a list of labels is needed',
        where=rows.where(0, "label"),
        fix=fix,
    )
