"""From a source as the user names it to rows: files, folders, packages, toys and the Hub."""

import importlib.util
import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from lowkey.data.config import DataConfig
from lowkey.data.conll_rows import parse_conll
from lowkey.data.delimited_rows import parse_delimited
from lowkey.data.hub import read_hub, read_parquet, read_saved_folder
from lowkey.data.json_rows import parse_json_array, parse_json_lines
from lowkey.data.parallel_files import parallel_names, read_parallel
from lowkey.data.rows import Rows, select_rows
from lowkey.data.table import Table
from lowkey.data.text_files import read_data_text
from lowkey.data.toys import PREFIX, toy_table
from lowkey.errors import ConfigError, DataError, MissingInputError, did_you_mean

FORMATS = ("jsonl", "json", "csv", "tsv", "conll", "parquet")
_SPLIT_NAMES = {
    "train": ("train",),
    "validation": ("validation", "valid", "dev"),
    "test": ("test",),
}
HUB_NAME = re.compile(r"([\w.-]+/[\w.-]+)(?::([\w.-]+))?(?:@(\S+))?", re.ASCII)
"""A data set of the Hub: its name, perhaps a configuration, perhaps a split."""


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
    split = key.rpartition(".")[2]
    split = split if split in _SPLIT_NAMES else "test"
    try:
        table = _read_table(source, config, required, key, split)
    except OSError as error:
        # A folder that may not be entered, a name that is too long, a disk that fails.
        reason = error.strerror or str(error)
        raise MissingInputError(f"{source} cannot be read: {reason}", where=key) from None
    if not table.num_rows:
        raise DataError(f"{table.place} holds no rows")
    return select_rows(table, config, required)


def _read_table(
    source: str, config: DataConfig, required: Sequence[str], key: str, split: str
) -> Table:
    """Finds out what kind of source this is and reads it."""
    if source.startswith(PREFIX):
        return toy_table(source, split, key)
    names = None if Path(source).exists() else parallel_names(source, key)
    if names:
        return _read_parallel(source, names, config, key)
    if source.startswith("package:"):
        path = _path_in_package(source, key)
    else:
        path = Path(os.path.expanduser(source))
        hub_name = HUB_NAME.fullmatch(source)
        if hub_name and not path.exists() and not _looks_like_a_path(path):
            name, configuration, hub_split = hub_name.groups()
            return read_hub(name, configuration, hub_split or split)
    if not path.exists():
        raise missing_file(path, key)
    if path.is_dir():
        if (path / "state.json").exists() or (path / "dataset_dict.json").exists():
            return read_saved_folder(path, split)
        path = _file_of_split(path, split, key)
    return _read_file(path, config, required)


def _read_parallel(source: str, names: tuple[str, str], config: DataConfig, key: str) -> Table:
    """Reads the two files of a name in braces as plain text, whatever their endings."""
    paths = Path(os.path.expanduser(names[0])), Path(os.path.expanduser(names[1]))
    for path in paths:
        if not path.exists():
            raise missing_file(path, key)
        if config.format != "auto" or format_of(path):
            kind = format_of(path) if config.format == "auto" else config.format
            raise ConfigError(
                f"{source} names two files of one text a line, but {path} is read as {kind}",
                where=key,
                fix="leave data.format at auto, and let the names not end in a table's",
            )
    return read_parallel(source, paths, lambda path: read_data_text(path, config.encoding))


def _looks_like_a_path(path: Path) -> bool:
    """Tells a mistyped path from a Hub name, which has the same form."""
    return format_of(path) is not None or path.parent.exists()


def _path_in_package(source: str, key: str) -> Path:
    """Finds a file inside an installed package, without importing the package."""
    package, *parts = PurePosixPath(source.removeprefix("package:")).parts or ("",)
    found = importlib.util.find_spec(package) if package.isidentifier() else None
    if found is None or not found.submodule_search_locations:
        raise MissingInputError(f'{source}: no package "{package}" is installed', where=key)
    if ".." in parts:
        raise MissingInputError(f"{source}: the path leaves the package", where=key)
    return Path(found.submodule_search_locations[0], *parts)


def missing_file(path: Path, key: str) -> MissingInputError:
    """Names the file that is not there, and the one that was probably meant.

    Args:
        path: The file.
        key: The key or option that names it.

    Returns:
        The error to raise.
    """
    near = None
    if path.parent.is_dir():
        near = did_you_mean(path.name, [entry.name for entry in path.parent.iterdir()])
    fix = None if near is None else f"did you mean {path.parent / near}?"
    return MissingInputError(f"no such file {path}", where=key, fix=fix)


def _file_of_split(folder: Path, split: str, key: str) -> Path:
    """Finds the one file of a split in a folder, such as train.jsonl or dev.csv.gz."""
    found = sorted(
        entry
        for entry in folder.iterdir()
        if entry.name.partition(".")[0] in _SPLIT_NAMES[split] and format_of(entry)
    )
    if len(found) > 1:
        names = " and ".join(entry.name for entry in found)
        raise DataError(f"{folder} holds {names}", where=key, fix="name the file")
    if not found:
        names = ", ".join(f"{name}.*" for name in _SPLIT_NAMES[split])
        fix = f"it must end in .{', .'.join(FORMATS)}, or .gz after one of these"
        raise MissingInputError(f"{folder} holds no file {names}", where=key, fix=fix)
    return found[0]


def format_of(path: Path) -> str | None:
    """Tells the format from the ending of a name, the one before .gz if it is packed.

    Args:
        path: A file.

    Returns:
        One of ``FORMATS``, None for another ending.
    """
    name = path.name.lower().removesuffix(".gz")
    ending = name.rpartition(".")[2]
    return ending if ending in FORMATS and "." in name else None


def _read_file(path: Path, config: DataConfig, required: Sequence[str]) -> Table:
    """Reads a file by the parser of its format."""
    kind = format_of(path) if config.format == "auto" else config.format
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
            "conll": "a word and its tag on each line, and a blank line behind each sentence",
        }.get(kind, f"a line that names the columns {quoted}, then one row per line")
        raise DataError(f"{path} {size}", fix=f"expected {expected}")
    if kind == "jsonl":
        return parse_json_lines(text, str(path))
    if kind == "json":
        return parse_json_array(text, str(path))
    if kind == "conll":
        return parse_conll(text, str(path))
    delimiter = config.delimiter or ("\t" if kind == "tsv" else ",")
    return parse_delimited(
        text, str(path), delimiter=delimiter, quotes=config.quotes, num_columns=len(required)
    )
