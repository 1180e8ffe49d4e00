"""Refuses pairs that are longer than they may be, and says which length would do."""

import numpy as np
from jaxtyping import Int64

from lowkey.data.rows import Rows
from lowkey.errors import DataError


def refuse_long(
    rows: Rows,
    sources: Int64[np.ndarray, " examples"],
    targets: Int64[np.ndarray, " examples"],
    max_length: int,
    limit: str,
) -> None:
    """Refuses rows of which a text would be cut.

    Args:
        rows: The rows.
        sources: Tokens of each source, without special ones.
        targets: Tokens of each target, without special ones.
        max_length: Most tokens of either, counted with its end token.
        limit: The key of the recipe that sets it, for messages.

    Raises:
        DataError: If a source or target is too long.
    """
    _check_lengths(rows, "source", sources + 1, max_length, limit)
    _check_lengths(rows, "target", targets + 1, max_length, limit)


def _check_lengths(
    rows: Rows,
    column: str,
    lengths: Int64[np.ndarray, " examples"],
    max_length: int,
    limit: str,
) -> None:
    """Refuses texts that would be cut, and says which length would do."""
    too_long = np.flatnonzero(lengths > max_length)
    if not len(too_long):
        return
    share = 100 * len(too_long) / len(lengths)
    side = f"{column}s"
    count = f"{share:.0f} % of the {side} are" if share >= 1 else f"{len(too_long)} {side} are"
    longest, most = int(lengths.max()), int(np.quantile(lengths, 0.99, method="higher"))
    cover = f"{longest} ({most} covers 99 %)" if most < longest else f"{longest}"
    raise DataError(
        f"{count} longer than {limit} {max_length} (median {int(np.median(lengths))}; "
        f"first: {rows.where(int(too_long[0]), column)}) and would be cut",
        fix=f"raise it to {cover}, or set data.truncate: true to accept this",
    )
