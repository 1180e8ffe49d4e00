"""From a source as the user names it to the place where it lies: files, folders and the Hub."""

import importlib.util
import os
import re
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from lowkey.data.parallel_files import parallel_names
from lowkey.errors import DataError, MissingInputError, did_you_mean

FORMATS = ("jsonl", "json", "csv", "tsv", "conll", "txt", "parquet")
_SPLIT_NAMES = {
    "train": ("train",),
    "validation": ("validation", "valid", "dev"),
    "test": ("test",),
}
HUB_NAME = re.compile(r"([\w.-]+/[\w.-]+)(?::([\w.-]+))?(?:@(\S+))?", re.ASCII)
"""A data set of the Hub: its name, perhaps a configuration, perhaps a split."""


class HubSplit(NamedTuple):
    """A split of a data set of the Hub.

    Attributes:
        name: ``owner/name``.
        configuration: The configuration, where it has several.
        split: The split.
    """

    name: str
    configuration: str | None
    split: str


def find_source(source: str, key: str) -> Path | tuple[Path, Path] | HubSplit:
    """Finds out where a source lies that is no toy.

    Args:
        source: The source as the user names it.
        key: The key or option that names it; its last part chooses the split, as in ``read_rows``.

    Returns:
        A file, a folder that ``datasets`` has written, two files of lines, or a name on the Hub.

    Raises:
        MissingInputError: If there is no such file, folder or package.
        DataError: If a folder holds several files of the split.
        ConfigError: If braces do not name two files.
    """
    split = split_of(key)
    names = None if Path(source).exists() else parallel_names(source, key)
    if names:
        paths = Path(os.path.expanduser(names[0])), Path(os.path.expanduser(names[1]))
        for path in paths:
            if not path.exists():
                raise missing_file(path, key)
        return paths
    if source.startswith("package:"):
        path = _path_in_package(source, key)
    else:
        path = Path(os.path.expanduser(source))
        hub_name = HUB_NAME.fullmatch(source)
        if hub_name and not path.exists() and not _looks_like_a_path(path):
            name, configuration, hub_split = hub_name.groups()
            return HubSplit(name, configuration, hub_split or split)
    if not path.exists():
        raise missing_file(path, key)
    saved = (path / "state.json").exists() or (path / "dataset_dict.json").exists()
    return _file_of_split(path, split, key) if path.is_dir() and not saved else path


def split_of(key: str) -> str:
    """Tells which split a key means.

    Args:
        key: The key or option that names a source.

    Returns:
        train, validation or, by default, test.
    """
    name = key.rpartition(".")[2]
    return name if name in _SPLIT_NAMES else "test"


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
