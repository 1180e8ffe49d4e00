"""Reads plain text: each line is a text."""

from lowkey.data.parallel_files import lines_of
from lowkey.data.table import Table, table_of_records


def parse_text(text: str, place: str) -> Table:
    r"""Reads one text a line; blank lines part texts and are none themselves.

    Args:
        text: The content of the file.
        place: The file, for messages.

    Returns:
        One row for each line that is not blank, with its number; the column is called ``text``.

    Example:
        >>> table = parse_text("It rains.\n\nIt pours.\n", "a.txt")
        >>> table.column("text"), table.lines
        (['It rains.', 'It pours.'], [1, 3])
    """
    numbered = [(n, line) for n, line in enumerate(lines_of(text), start=1) if line.strip()]
    return table_of_records(
        place, [{"text": line} for _, line in numbered], [number for number, _ in numbered]
    )
