"""The tags of a set: which there are, and their ids."""

from collections import Counter
from collections.abc import Sequence

from lowkey.data.flat import FlatSequences
from lowkey.data.labels import MAX_INTEGER_CLASSES, LabelMap, in_order, label_name
from lowkey.data.rows import Rows
from lowkey.errors import DataError, shown


def tag_map(rows: Rows, names: Sequence[str | int] | None = None) -> LabelMap:
    """Finds the tags of the training rows.

    Args:
        rows: Training rows with ``tags``.
        names: The tags in the order wanted (``data.labels``); by default those found: integers in
            their natural order, other names sorted.

    Returns:
        The map.

    Raises:
        DataError: If all words have the same tag, or if nearly every word has its own.
    """
    counts = Counter(label_name(tag) for tags in rows.column("tags") for tag in tags)
    column = rows.source_names["tags"]
    others = ", ".join(name for name in rows.file_columns if name != column)
    fix = "check data.columns: {tags: " + column + "}" + f" (other columns: {others})"
    if len(counts) == 1:
        what = (
            f"all {counts.total()} words of {rows.place} have the tag {shown(next(iter(counts)))}"
        )
        raise DataError(what, fix=fix)
    if names is not None:
        return LabelMap([label_name(name) for name in names])
    if len(counts) > max(MAX_INTEGER_CLASSES, counts.total() // 2):
        raise DataError(
            f'{rows.place}: column "{column}" has {len(counts)} different values for'
            f" {counts.total()} words; that is text, not tags",
            fix=fix,
        )
    return LabelMap(in_order(counts))


def tag_ids(rows: Rows, tags: LabelMap) -> FlatSequences:
    """Turns tags into their ids.

    Args:
        rows: Rows with ``tags``, of any split.
        tags: The tags that there are.

    Returns:
        An id from 0 for each word.

    Raises:
        DataError: If a tag is not among them.
    """
    sequences = [[tags.find(label_name(tag)) for tag in row] for row in rows.column("tags")]
    for i, ids in enumerate(sequences):
        if -1 in ids:
            name = label_name(rows.column("tags")[i][ids.index(-1)])
            raise tags.unknown(name, rows.where(i), "tag")
    return FlatSequences.of(sequences)
