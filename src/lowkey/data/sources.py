"""From a source as the user names it to rows: files, folders, packages, toys and the Hub."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lowkey.data.arrow import read_parquet, read_saved_folder
from lowkey.data.config import DataConfig
from lowkey.data.conll_rows import parse_conll
from lowkey.data.delimited_rows import parse_delimited
from lowkey.data.hub import read_hub
from lowkey.data.json_rows import parse_json_array, parse_json_lines
from lowkey.data.parallel_files import read_parallel
from lowkey.data.places import FORMATS, HubSplit, find_source, format_of, split_of
from lowkey.data.rows import Rows, select_rows
from lowkey.data.squad_rows import parse_squad
from lowkey.data.table import Table
from lowkey.data.text_files import read_data_text
from lowkey.data.text_rows import parse_text
from lowkey.data.toys import PREFIX, toy_table
from lowkey.errors import ConfigError, DataError, MissingInputError


def read_rows(source: str, config: DataConfig, required: Sequence[str], *, key: str) -> Rows:
    """Reads the rows of one source and brings them under the standard column names.

    Args:
        source: A file, two files of lines (``train.{en,de}``), a folder, ``package:NAME/FILE``,
            ``toy:NAME``, or a Hub name: ``owner/name``, ``owner/name:config`` or
            ``owner/name:config@split``.
        config: How its files are to be read and its columns named.
        required: Standard columns that must be there; text_pair comes with text, and
            alternatives with source, where there are any.
        key: The key or option that names the source, for messages. Its last part chooses the split
            in a folder, on the Hub or of a toy: ``data.train`` the training split; a key that names
            no split means test.

    Returns:
        The rows.

    Raises:
        MissingInputError: If there is no such file, folder, package, data set, toy or split.
        UnavailableError: If the Hub is needed and cannot be reached.
        DataError: If the content is not what it should be.
        ConfigError: If braces do not name two files of lines.
    """
    with readable(source, key):
        table = _read_table(source, config, required, key)
    if not table.num_rows:
        raise DataError(f"{table.place} holds no rows")
    return select_rows(table, config, required)


@contextmanager
def readable(source: str, key: str) -> Iterator[None]:
    """Turns what the system says while a source is read into one line.

    Args:
        source: The source as the user names it.
        key: The key or option that names it.

    Yields:
        Nothing.

    Raises:
        MissingInputError: If the body raises an ``OSError``.
    """
    try:
        yield
    except OSError as error:
        # A folder that may not be entered, a name that is too long, a disk that fails.
        reason = error.strerror or str(error)
        raise MissingInputError(f"{source} cannot be read: {reason}", where=key) from None


def _read_table(source: str, config: DataConfig, required: Sequence[str], key: str) -> Table:
    """Finds out what kind of source this is and reads it."""
    if source.startswith(PREFIX):
        return toy_table(source, split_of(key), key)
    found = find_source(source, key)
    if isinstance(found, HubSplit):
        return read_hub(*found)
    if isinstance(found, tuple):
        return _read_parallel(source, found, config, key)
    if found.is_dir():
        return read_saved_folder(found, split_of(key))
    return _read_file(found, config, required)


def _read_parallel(source: str, paths: tuple[Path, Path], config: DataConfig, key: str) -> Table:
    """Reads two files of lines."""
    refuse_tables(source, paths, config, key)
    return read_parallel(source, paths, lambda path: read_data_text(path, config.encoding))


def refuse_tables(source: str, paths: tuple[Path, Path], config: DataConfig, key: str) -> None:
    """Refuses the two files of a name in braces if they are to be read as tables, not as lines.

    Args:
        source: The source as the user names it.
        paths: The files.
        config: Says of which format they are.
        key: The key or option that names the source.

    Raises:
        ConfigError: If a format is set, or one of the names ends in that of a table.
    """
    for path in paths:
        kind = format_of(path) if config.format == "auto" else config.format
        if kind not in (None, "txt"):
            raise ConfigError(
                f"{source} names two files of one text a line, but {path} is read as {kind}",
                where=key,
                fix="leave data.format at auto, and let the names not end in a table's",
            )


def _read_file(path: Path, config: DataConfig, required: Sequence[str]) -> Table:
    """Reads a file by the parser of its format."""
    kind = format_of(path) if config.format == "auto" else config.format
    if config.format == "auto" and kind == "txt" and tuple(required) != ("text",):
        kind = None  # where more than texts is needed, it may be a table under any name
    if kind is None:
        fix = f"set data.format to one of {', '.join(FORMATS)}"
        raise DataError("the ending of the name tells no format", where=str(path), fix=fix)
    if kind == "parquet":
        return read_parquet(path)
    quoted = " and ".join(f'"{config.columns.get(name, name)}"' for name in required)
    text = read_data_text(path, config.encoding)
    if not text.strip():
        size = "is empty (0 bytes)" if not text else "holds nothing but blank lines"
        expected = {
            "jsonl": f"one JSON object per line with {quoted}",
            "json": f"a JSON array of objects with {quoted}",
            "txt": "one text per line",
            "conll": "a word and its tag on each line, and a blank line behind each sentence",
        }.get(kind, f"a line that names the columns {quoted}, then one row per line")
        raise DataError(f"{path} {size}", fix=f"expected {expected}")
    if kind == "jsonl":
        return parse_json_lines(text, str(path))
    if kind == "json":
        return parse_squad(text, str(path)) or parse_json_array(text, str(path))
    if kind == "conll":
        return parse_conll(text, str(path))
    if kind == "txt":
        return parse_text(text, str(path))
    delimiter = config.delimiter or ("\t" if kind == "tsv" else ",")
    return parse_delimited(
        text, str(path), delimiter=delimiter, quotes=config.quotes, num_columns=len(required)
    )
