"""Reads rows out of JSON: one object a line, or one array of objects."""

import json
from typing import Any, NoReturn

from lowkey.data.table import Table, table_of_records
from lowkey.errors import DataError, shown


def parse_json_lines(text: str, place: str, first: int = 1) -> Table:
    """Reads JSONL: one JSON object on each line; blank lines are skipped.

    Args:
        text: The content of the file, or some of its lines.
        place: The file, for messages.
        first: Line of the file on which the text begins.

    Returns:
        The rows, with the line of each.

    Raises:
        DataError: If a line is not exactly one JSON object, or holds a key twice or a NaN.
    """
    records, lines = [], []
    # Not splitlines(): JSON texts may hold U+2028 and its like, which are no line ends here.
    for number, line in enumerate(text.split("\n"), start=first):
        if line and not line.isspace():
            records.append(_parse_line(line, f"{place}:{number}"))
            lines.append(number)
    return table_of_records(place, records, lines)


def parse_json_array(text: str, place: str) -> Table:
    """Reads a file that is one JSON array of objects.

    Args:
        text: The content of the file.
        place: The file, for messages.

    Returns:
        The rows, with the line on which each begins.

    Raises:
        DataError: If the file is not one array of objects, or holds a key twice or a NaN.
    """
    records, lines = [], []
    line, position = 1, _skip_space(text, 0)
    line += text.count("\n", 0, position)
    if text[position : position + 1] != "[":
        fix = "for one object per line use data.format: jsonl"
        raise DataError("not a JSON array", where=f"{place}:{line}", fix=fix)
    while True:
        start = _skip_space(text, position + 1)
        line += text.count("\n", position, start)
        if text[start : start + 1] == "]" and not records:
            position = start
            break
        record, end = decode_value(text, start, f"{place}:{line}")
        records.append(_object(record, f"{place}:{line}"))
        lines.append(line)
        position = _skip_space(text, end)
        line += text.count("\n", start, position)
        if text[position : position + 1] == "]":
            break
        if text[position : position + 1] != ",":
            raise DataError('not JSON (expected "," or "]")', where=f"{place}:{line}")
    if text[position + 1 :].strip():
        raise DataError("not JSON (text after the array)", where=f"{place}:{line}")
    return table_of_records(place, records, lines)


class _RefusedError(ValueError):
    """What Python's JSON parser lets pass and we do not."""


def _parse_line(line: str, where: str) -> dict[str, Any]:
    """Reads the one object of a line of JSONL."""
    try:
        return _object(_DECODER.decode(line), where)
    except json.JSONDecodeError as error:
        fix = "each line must be one whole object"
        if where.endswith(":1") and line.lstrip().startswith("["):
            fix += "; for a JSON array use data.format: json"
        what = f"not JSON ({_reason(error)} at column {error.pos + 1})"
        raise DataError(what, where=where, fix=fix) from None
    except (ValueError, RecursionError) as error:
        raise _refusal(error, where) from None


def decode_value(text: str, start: int, where: str) -> tuple[Any, int]:
    """Reads the JSON value that begins at a position of a file.

    Args:
        text: The content of the file.
        start: Where the value begins.
        where: ``file:line`` of that place, for messages.

    Returns:
        The value, and where it ends.

    Raises:
        DataError: If it is no JSON, or holds a key twice or a NaN.
    """
    try:
        return _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        line = int(where.rpartition(":")[2]) + text.count("\n", start, error.pos)
        place = f"{where.rpartition(':')[0]}:{line}"
        what = f"not JSON ({_reason(error)} at column {error.colno})"
        raise DataError(what, where=place) from None
    except (ValueError, RecursionError) as error:
        raise _refusal(error, where) from None


def _object(value: Any, where: str) -> dict[str, Any]:
    """Checks that a row is an object."""
    if isinstance(value, dict):
        return value
    fix = 'a row is an object such as {"text": "..."}'
    if isinstance(value, list) and where.endswith(":1"):
        fix += "; for a JSON array use data.format: json"
    raise DataError(f"not an object but {shown(value)}", where=where, fix=fix)


def _refusal(error: ValueError | RecursionError, where: str) -> DataError:
    """Explains why a value that may be JSON was refused."""
    if isinstance(error, _RefusedError):
        return DataError(str(error), where=where)
    what = "too deep" if isinstance(error, RecursionError) else "a number with too many digits"
    return DataError(f"not JSON that can be read ({what})", where=where)


def _reason(error: json.JSONDecodeError) -> str:
    """Writes what the parser expected, without a capital letter."""
    return error.msg[:1].lower() + error.msg[1:]


def _skip_space(text: str, position: int) -> int:
    """Finds the next character that is not JSON's white space."""
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Builds an object and refuses a key that is given twice."""
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _RefusedError(f"the key {shown(twice)} is given twice")
    return record


def _constant(name: str) -> NoReturn:
    """Refuses NaN and the infinities, which JSON does not have."""
    raise _RefusedError(f"not JSON ({name} is not a JSON value)")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant)
