"""Reads tagged sentences in the columns of the CoNLL shared tasks: one word a line."""

from lowkey.data.table import Table, table_of_records
from lowkey.errors import DataError

_NEW_DOCUMENT = "-DOCSTART-"


def parse_conll(text: str, place: str) -> Table:
    r"""Reads one word a line, its tags behind it, and a blank line behind each sentence.

    Args:
        text: The content of the file. Columns are parted by tabs where a line has one, else by
            white space; lines that begin with ``-DOCSTART-`` are passed over.
        place: The file, for messages.

    Returns:
        One row for each sentence, with the line it begins on. The first column is called
        ``tokens``, the last one ``tags``, those between by their number: ``2``, ``3`` and so on.

    Raises:
        DataError: If a line has one column alone, or not as many as the first one.

    Example:
        >>> table = parse_conll("Anna B-PER\nsings O\n\nYes O\n", "a.conll")
        >>> table.column("tokens"), table.lines
        ([['Anna', 'sings'], ['Yes']], [1, 4])
    """
    sentences: list[list[list[str]]] = [[]]
    lines: list[int] = []
    width = 0
    for number, line in enumerate(text.split("\n"), start=1):
        fields = line.rstrip("\r").split("\t") if "\t" in line else line.split()
        if not any(field.strip() for field in fields) or fields[0] == _NEW_DOCUMENT:
            sentences.append([])
            continue
        width = width or len(fields)
        if len(fields) < 2:
            what = "one column; a word and its tag are needed"
            raise DataError(what, where=f"{place}:{number}", fix="part them by a tab or a space")
        if len(fields) != width:
            what = f"{len(fields)} columns, the lines before have {width}"
            raise DataError(what, where=f"{place}:{number}", fix="mend the line")
        if not sentences[-1]:
            lines.append(number)
        sentences[-1].append(fields)
    names = ["tokens", *map(str, range(2, width)), "tags"]
    records = [
        dict(zip(names, map(list, zip(*words, strict=True)), strict=True))
        for words in sentences
        if words
    ]
    return table_of_records(place, records, lines)
