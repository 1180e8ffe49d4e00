"""Reads two text files whose lines belong together: line i of one goes with line i of the other."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lowkey.data.slips import first_slip
from lowkey.data.table import Table
from lowkey.data.text_files import read_data_lines
from lowkey.errors import ConfigError, DataError

_BRACES = re.compile(r"([^{}]*)\{([^{}]*)\}([^{}]*)")


def parallel_names(source: str, key: str) -> tuple[str, str] | None:
    """Takes a name in braces apart: ``corpus/train.{en,de}`` names the sources, then the targets.

    Args:
        source: A source as the user names it.
        key: The key or option that names it, for messages.

    Returns:
        The names of the two files; None if the source is of another form.

    Raises:
        ConfigError: If there are braces and not exactly two names in them.

    Example:
        >>> parallel_names("corpus/train.{en,de}.gz", "data.train")
        ('corpus/train.en.gz', 'corpus/train.de.gz')
    """
    found = _BRACES.fullmatch(source)
    if not found:
        return None
    before, inside, after = found.groups()
    names = inside.split(",")
    if len(names) != 2 or names[0] == names[1]:
        raise ConfigError(
            f"{source} does not name two files",
            where=key,
            fix="write {SOURCE,TARGET}, such as corpus/train.{en,de}",
        )
    return f"{before}{names[0]}{after}", f"{before}{names[1]}{after}"


def read_parallel(place: str, paths: tuple[Path, Path], read_text: Callable[[Path], str]) -> Table:
    """Reads two files of one text a line into the columns ``source`` and ``target``.

    A blank line is a row too, an empty one: without it everything after would be out of step.

    Args:
        place: Both files as messages name them.
        paths: The file of the sources and that of the targets.
        read_text: Reads a file.

    Returns:
        The rows; messages about a column name its own file.

    Raises:
        DataError: If a file is empty, or they have different numbers of lines.
    """
    sides = []
    for path in paths:
        text = read_text(path)
        if not text:
            raise DataError(f"{path} is empty (0 bytes)", fix="expected one text per line")
        sides.append(lines_of(text))
    sources, targets = sides
    if len(sources) != len(targets):
        raise _out_of_step(paths, sources, targets)
    columns = {"source": sources, "target": targets}
    return Table(
        place=place,
        names=tuple(columns),
        column=columns.__getitem__,
        num_rows=len(sources),
        lines=range(1, len(sources) + 1),
        places=dict(zip(columns, map(str, paths), strict=True)),
    )


def parallel_records(paths: Sequence[Path], encoding: str) -> Iterator[dict[str, Any]]:
    """Reads two files of one text a line that may be larger than the memory, pair by pair.

    Args:
        paths: The file of the sources and that of the targets.
        encoding: Their encoding.

    Yields:
        The rows, with ``source`` and ``target``.

    Raises:
        MissingInputError: If a file cannot be opened.
        DataError: If one ends before the other, or cannot be read in the encoding.
    """
    sides = [read_data_lines(path, encoding) for path in paths]
    number = 0
    while True:
        number += 1
        source, target = (next(side, None) for side in sides)
        if source is None and target is None:
            return
        if source is None or target is None:
            short, long = paths if source is None else reversed(paths)
            what = f"{short} ends after {number - 1:,} lines, {long} goes on"
            raise DataError(f"{what}; they must match line by line")
        yield {"source": source, "target": target}


def lines_of(text: str) -> list[str]:
    """Splits a text into its lines; the last one may lack its end.

    Args:
        text: The content of a file.

    Returns:
        The lines, without line feeds and the carriage returns before them.
    """
    # Not splitlines(): a sentence may hold U+2028 and its like, which are no line ends here.
    lines = text.removesuffix("\n").split("\n")
    return [line.removesuffix("\r") for line in lines]


def _out_of_step(paths: tuple[Path, Path], sources: list[str], targets: list[str]) -> DataError:
    """Says by how much two files differ and where that probably begins."""
    line = first_slip(sources, targets)
    if line > min(len(sources), len(targets)):
        fix = (
            f"the lines from {line:,} on have no counterpart: delete them, or add the missing ones"
        )
    else:
        fix = f"by the lengths of the texts they probably slip out of step near line {line:,}"
    counts = f"{paths[0]} has {len(sources):,} lines, {paths[1]} has {len(targets):,}"
    return DataError(f"{counts}; they must match line by line", fix=fix)
