"""From the bytes of a file to its text: unpacked, capped in size and strictly decoded."""

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lowkey.errors import DataError
from lowkey.files import MIB, open_regular

MAX_BYTES = 1024 * MIB
"""Greatest size of a text file, unpacked: a small .gz can unpack to more than the disk holds."""


def read_data_text(path: Path, encoding: str, *, max_bytes: int = MAX_BYTES) -> str:
    """Reads the whole text of a data file.

    Args:
        path: A regular file; one whose name ends in .gz is unpacked.
        encoding: Name of its encoding; a byte order mark is dropped.
        max_bytes: Most bytes it may hold, after unpacking.

    Returns:
        The text, its line ends as they are in the file.

    Raises:
        MissingInputError: If there is no such file, or it cannot be opened.
        DataError: If it is too large, badly packed or not in the encoding.
    """
    data = _read_bytes(path, max_bytes)
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise _decoding_error(path, data, encoding, error) from None
    except UnicodeError as error:
        # Some codecs (UTF-16 without its mark) do not say at which byte they failed.
        raise DataError(f"not {encoding} ({error})", where=str(path)) from None


def read_data_lines(path: Path, encoding: str) -> Iterator[str]:
    """Reads the lines of a file that may be larger than the memory, one by one.

    Args:
        path: A regular file; one whose name ends in .gz is unpacked.
        encoding: Name of its encoding; a byte order mark is dropped.

    Yields:
        The lines, without line feeds and the carriage returns before them.

    Raises:
        MissingInputError: If there is no such file, or it cannot be opened.
        DataError: If it is badly packed or not in the encoding.
    """
    with open_regular(path) as file:
        raw: Any = gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
        number = 0
        try:
            for number, line in enumerate(io.TextIOWrapper(raw, encoding, newline="\n"), start=1):
                text = line.removesuffix("\n").removesuffix("\r")
                yield text.removeprefix("\ufeff") if number == 1 else text
        except UnicodeError as error:
            fix = "set data.encoding to the encoding of the file"
            where = f"{path}, soon after line {number:,}"
            raise DataError(f"not {encoding} ({error})", where=where, fix=fix) from None
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError(f"not a whole gzip file ({error})", where=str(path)) from None


def _read_bytes(path: Path, max_bytes: int) -> bytes:
    """Reads a file whole, unpacking .gz, and stops as soon as it grows past the cap."""
    with open_regular(path) as file:
        if path.suffix != ".gz":
            data = file.read(max_bytes + 1)
        else:
            try:
                with gzip.GzipFile(fileobj=file) as unpacked:
                    data = unpacked.read(max_bytes + 1)
            except (gzip.BadGzipFile, EOFError, zlib.error):
                fix = "it may be cut off or not packed at all; fetch it again"
                raise DataError("not a whole gzip file", where=str(path), fix=fix) from None
    if len(data) > max_bytes:
        raise DataError(
            f"holds more than {max_bytes // MIB} MiB of text",
            where=str(path),
            fix="split it, or store it as Parquet",
        )
    return data


def _decoding_error(path: Path, data: bytes, encoding: str, error: UnicodeDecodeError) -> DataError:
    """Says which byte is wrong and which encoding the file is probably in."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return DataError(
            f"not {_shown(encoding)}, but UTF-16", where=str(path), fix="set data.encoding: utf-16"
        )
    line_number = data.count(b"\n", 0, error.start) + 1
    line_start = data.rfind(b"\n", 0, error.start) + 1
    column = len(data[line_start : error.start].decode(encoding, "replace")) + 1
    line = data[line_start : line_start + 1000].partition(b"\n")[0]
    try:
        line.decode("cp1252")
        guess, fix = ", looks like windows-1252", "set data.encoding: cp1252"
    except UnicodeDecodeError:
        guess, fix = "", "set data.encoding to the encoding of the file"
    return DataError(
        f"not {_shown(encoding)} (byte 0x{data[error.start]:02X}, column {column}){guess}",
        where=f"{path}:{line_number}",
        fix=fix,
    )


def _shown(encoding: str) -> str:
    """Writes the usual name of an encoding."""
    return "UTF-8" if encoding.lower().replace("-", "") == "utf8" else encoding
