"""Reads Debian's files of package descriptions, Translation-en and its like."""

import bz2
import gzip
import lzma
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lowkey.errors import DataError
from lowkey.files.text import MIB, open_regular

MAX_MIB = 256
_OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_DAMAGES = (OSError, EOFError, lzma.LZMAError, zlib.error)


# A list or something laid out by hand: its lines are no running text.
_VERBATIM = re.compile(r"\s|[*o+-] ")


class Description(NamedTuple):
    """What one stanza says."""

    package: str
    title: str
    paragraphs: list[list[str]]


def read_descriptions(path: Path, language: str) -> dict[str, Description]:
    """Reads a file Translation-LANGUAGE.

    Args:
        path: The file; one that ends in .gz, .bz2 or .xz is unpacked.
        language: The language its stanzas must be in: ``en`` or ``de``.

    Returns:
        The descriptions by the MD5 of the English text, in the order of the file. Of packages
        that share a description the first stands for all.

    Raises:
        MissingInputError: If the file is not there.
        DataError: If it cannot be unpacked, is too large, not UTF-8, or no such file.
    """
    found: dict[str, Description] = {}
    lines = text_of(path).split("\n")
    begin = 0
    for end in (number for number, line in enumerate([*lines, ""]) if not line):
        if end > begin:
            where = f"{path}:{begin + 1}"
            md5, description = _stanza(lines[begin:end], f"Description-{language}", where)
            found.setdefault(md5, description)
        begin = end + 1
    if not found:
        raise DataError(f"{path} holds no descriptions")
    return found


def is_running_text(paragraph: Sequence[str]) -> bool:
    """Tells a paragraph of sentences from a list or something laid out by hand.

    Args:
        paragraph: Its lines.

    Returns:
        Whether no line is indented or begins with a bullet.
    """
    return not any(_VERBATIM.match(line) for line in paragraph)


def text_of(path: Path) -> str:
    """Reads a file; a small packed one may hold any amount of text, so that is capped too.

    Args:
        path: The file; one that ends in .gz, .bz2 or .xz is unpacked.

    Returns:
        Its text.

    Raises:
        MissingInputError: If the file is not there.
        DataError: If it cannot be unpacked, is too large, or not UTF-8.
    """
    with open_regular(path) as file:
        try:
            unpacked = _OPENERS.get(path.suffix, lambda plain: plain)(file)
            data = unpacked.read(int(MAX_MIB * MIB) + 1)
        except _DAMAGES as error:
            what = f"{path} cannot be unpacked ({error or 'it ends too early'})"
            raise DataError(what, fix="fetch it again") from None
    if len(data) > MAX_MIB * MIB:
        raise DataError(f"{path} holds more than {MAX_MIB} MiB of text")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        fix = "a packed file must end in .gz, .bz2 or .xz"
        raise DataError("not UTF-8", where=f"{path}:{line}", fix=fix) from None


def _stanza(lines: Sequence[str], text_field: str, where: str) -> tuple[str, Description]:
    """Takes a stanza apart: three fields, and below the last one indented lines."""
    fields = dict.fromkeys(("Package", "Description-md5", text_field), "")
    body = []
    for line in lines:
        name, colon, value = line.partition(":")
        if line.startswith(" "):
            body.append(line[1:])
        elif colon and name in fields:
            fields[name] = value.strip()
        else:
            wanted = ", ".join(fields)
            raise DataError(f"{wanted} or an indented line is expected", where=where)
    for name, value in fields.items():
        if not value:
            raise DataError(f"a stanza without {name}", where=where)
    package, md5, title = fields.values()
    paragraphs: list[list[str]] = [[]]
    for line in body:
        if line.strip() == ".":
            paragraphs.append([])
        else:
            paragraphs[-1].append(line)
    return md5, Description(package, title, [lines for lines in paragraphs if lines])
