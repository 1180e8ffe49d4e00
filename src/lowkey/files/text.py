"""Reads foreign text and JSON: regular files only, capped, strict UTF-8, strict JSON."""

import hashlib
import json
import math
import os
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any, NoReturn

from lowkey.errors import DataError, MissingInputError, did_you_mean, shown

MIB = 1024 * 1024
MAX_DEPTH = 64
_MAX_DIGITS = 100


@contextmanager
def open_regular(path: Path) -> Iterator[BufferedReader]:
    """Opens a regular file for reading; never waits on a pipe and never touches a device.

    Args:
        path: The file.

    Yields:
        The open file, in bytes.

    Raises:
        MissingInputError: If it is not there, cannot be read, or is a folder, pipe or device.
    """
    if "\0" in str(path):
        raise MissingInputError(f"{path} cannot be the name of a file")
    try:
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "a pipe, socket or device"
            raise MissingInputError(f"{path} is {kind}, not a file")
        # The file may be swapped for a pipe after the check; then a blocking open would hang.
        with open(path, "rb", opener=lambda p, flags: os.open(p, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise MissingInputError(f"{path} is not a regular file")
            yield file
    except BrokenPipeError:
        # The reader of our own output is gone; this file has nothing to do with it.
        raise
    except FileNotFoundError:
        raise MissingInputError(f"no such file {path}", fix=_nearest_file(path)) from None
    except OSError as error:
        raise MissingInputError(f"cannot read {path}: {error.strerror or error}") from None


def _nearest_file(path: Path) -> str | None:
    """Proposes the file beside a missing one whose name is nearest."""
    try:
        nearest = did_you_mean(path.name, os.listdir(path.parent)[:1000])
    except OSError:
        return f"the folder {path.parent} does not exist either"
    return None if nearest is None else f"did you mean {path.with_name(nearest)}?"


def read_text(path: Path, *, max_bytes: int = 16 * MIB) -> str:
    """Reads a small text file; a byte order mark at its beginning is dropped.

    Args:
        path: The file.
        max_bytes: Greatest size that is accepted, in bytes.

    Returns:
        The text, with its line ends as they are.

    Raises:
        MissingInputError: If the file is not there or is no regular file that can be read.
        DataError: If it is larger than ``max_bytes`` or not UTF-8.
    """
    with open_regular(path) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise DataError(f"{path} is larger than the {max_bytes / MIB:g} MiB such a file may have")
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        what = f"not UTF-8 (byte 0x{data[error.start]:02X}, column {column})"
        raise DataError(what, where=f"{path}:{line}", fix="save the file as UTF-8") from None


def read_json(path: Path, *, max_bytes: int = 16 * MIB) -> Any:
    """Reads a JSON file strictly.

    Args:
        path: The file.
        max_bytes: Greatest size that is accepted, in bytes.

    Returns:
        The value: dictionaries, lists, texts, numbers, booleans and None.

    Raises:
        MissingInputError: If the file is not there or is no regular file that can be read.
        DataError: If it is too large, not UTF-8 or not strict JSON (see `parse_json`).
    """
    text = read_text(path, max_bytes=max_bytes)
    if not text:
        raise DataError(f"{path} is empty (0 bytes)")
    return parse_json(text, where=str(path))


def parse_json(text: str, *, where: str) -> Any:
    """Parses JSON and refuses what other parsers let pass silently.

    Args:
        text: The JSON.
        where: The place of the text, for messages.

    Returns:
        The value.

    Raises:
        DataError: If it is not JSON, or holds a key twice, NaN, Infinity, a number beyond the
            range of floats or of more than 100 digits, half a surrogate pair, or more than 64
            levels of brackets.
    """

    def refuse(what: str) -> NoReturn:
        raise DataError(what, where=where)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        record = dict(pairs)
        if len(record) < len(pairs):
            [(twice, _)] = Counter(key for key, _ in pairs).most_common(1)
            refuse(f"the key {shown(twice)} is given twice")
        return record

    def whole(digits: str) -> int:
        return int(digits) if len(digits) <= _MAX_DIGITS else refuse("a number is too long")

    def real(digits: str) -> float:
        number = float(digits)
        return number if math.isfinite(number) else refuse(f"{shown(digits)} is too large")

    try:
        value = json.loads(
            text,
            object_pairs_hook=unique,
            parse_int=whole,
            parse_float=real,
            parse_constant=lambda name: refuse(f"{name} is not JSON"),
        )
    except json.JSONDecodeError as error:
        place = f"{where}:{error.lineno}"
        raise DataError(f"not JSON ({error.msg} at column {error.colno})", where=place) from None
    except RecursionError:
        refuse(f"more than {MAX_DEPTH} levels of brackets")
    _check_nesting(value, where)
    return value


def _check_nesting(value: Any, where: str) -> None:
    """Refuses deep nesting and texts that cannot be encoded, level by level."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        texts = [item for item in level if isinstance(item, str)]
        records = [item for item in level if isinstance(item, dict)]
        texts += [key for record in records for key in record]
        if not all(map(encodable, texts)):
            raise DataError("a text holds half a surrogate pair", where=where)
        lists = [item for item in level if isinstance(item, list)]
        level = [item for record in records for item in record.values()]
        level += [item for items in lists for item in items]
        if not records and not lists:
            return
    raise DataError(f"more than {MAX_DEPTH} levels of brackets", where=where)


def encodable(text: str) -> bool:
    """Tells whether a text can be written in UTF-8.

    Args:
        text: Any text.

    Returns:
        False if it holds half a surrogate pair.
    """
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


def sha256_of(path: Path) -> str:
    """Computes the SHA-256 of a file.

    Args:
        path: The file.

    Returns:
        64 hexadecimal digits.

    Raises:
        MissingInputError: If the file is not there or is no regular file that can be read.
    """
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
