"""Reads rows out of CSV and TSV, strictly: nothing is guessed, skipped or converted."""

import csv
import io
from collections.abc import Iterator

from lowkey.data.table import Table, table_of_records
from lowkey.errors import DataError

_DELIMITER_NAMES = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar"}


def parse_delimited(
    text: str, place: str, *, delimiter: str, quotes: bool, num_columns: int
) -> Table:
    """Reads a table whose first line names the columns; every value stays the text it is.

    Args:
        text: The content of the file.
        place: The file, for messages.
        delimiter: The character between two fields.
        quotes: Whether double quotes enclose a field (and "" stands for one inside).
        num_columns: How many columns are needed, at least 1.

    Returns:
        The rows, with the line on which each begins.

    Raises:
        DataError: If a row has more or fewer fields than the header, a quote is not closed or
            stands in a wrong place, a column is named twice, or the delimiter seems wrong.
    """
    numbered = _fields(text, place, delimiter, quotes)
    _, header = next(numbered, (1, []))
    _check_header(header, text, place, delimiter, num_columns)
    records, lines = [], []
    for line, row in numbered:
        if len(row) != len(header):
            raise _width_error(row, len(header), f"{place}:{line}", delimiter, quotes)
        records.append(dict(zip(header, row, strict=True)))
        lines.append(line)
    if not records:
        raise DataError(f"{place} has a header and no rows")
    return table_of_records(place, records, lines)


def _fields(text: str, place: str, delimiter: str, quotes: bool) -> Iterator[tuple[int, list[str]]]:
    """Yields each row's first line and fields; blank lines are skipped."""
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE,
        strict=True,
    )
    # The limit of 131072 characters is one for the whole process, and a long text is no mistake.
    old_limit = csv.field_size_limit(len(text) + 1)
    line = 1
    try:
        for row in reader:
            if quotes and delimiter == "\t" and reader.line_num > line:
                _check_lines_of_field(row, f"{place}:{line}")
            if row:
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise _quote_error(str(error), f"{place}:{line}") from None
    finally:
        csv.field_size_limit(old_limit)


def _check_lines_of_field(row: list[str], where: str) -> None:
    """Refuses a field of TSV that swallowed whole rows between two unrelated quotes."""
    if any("\n" in field and "\t" in field for field in row):
        raise DataError(
            "a quote opens a field here that runs over several lines and holds tabs",
            where=where,
            fix="if a quote is only a character in this file, set data.quotes: false",
        )


def _check_header(
    header: list[str], text: str, place: str, delimiter: str, num_columns: int
) -> None:
    """Refuses a header that shows a wrong delimiter or cannot name columns."""
    if len(header) == 1 and num_columns > 1:
        first_line = text.lstrip("\r\n").partition("\n")[0]
        counts = {char: first_line.count(char) for char in _DELIMITER_NAMES if char != delimiter}
        other = max(counts, key=lambda char: counts[char])
        if counts[other]:
            plural = "" if counts[other] == 1 else "s"
            shown = '"\\t"' if other == "\t" else f'"{other}"'
            raise DataError(
                f"one field where {num_columns} are needed; the line has "
                f"{counts[other]} {_DELIMITER_NAMES[other]}{plural} and no {_named(delimiter)}",
                where=f"{place}:1",
                fix=f"set data.delimiter: {shown}",
            )
    twice = [name for i, name in enumerate(header) if name in header[:i]]
    if twice:
        raise DataError(f'two columns are named "{twice[0]}"', where=f"{place}:1")


def _width_error(
    row: list[str], expected: int, where: str, delimiter: str, quotes: bool
) -> DataError:
    """Explains a row that is wider or narrower than the header."""
    fields = f"{len(row)} field{'' if len(row) == 1 else 's'}, expected {expected}"
    if len(row) > expected:
        fields += f" (a {_named(delimiter)} inside the text?)"
    fix = "mend the line" + (", or put the text in double quotes" if quotes else "")
    return DataError(fields, where=where, fix=fix)


def _quote_error(error: str, where: str) -> DataError:
    """Explains what the csv module found wrong with a quote."""
    if "unexpected end of data" in error:
        what = "the quote opened here is never closed"
    elif "expected after" in error:
        what = "text follows the quote that closes a field of this row"
    else:
        what = f"not CSV ({error})"
    return DataError(
        what,
        where=where,
        fix='double quotes inside a field must be written "" '
        "(or set data.quotes: false where a quote is only a character)",
    )


def _named(delimiter: str) -> str:
    """Writes a delimiter as a word."""
    return _DELIMITER_NAMES.get(delimiter, f'"{delimiter}"')
