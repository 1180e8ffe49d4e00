"""Reads the texts to predict, one a line or JSONL, a little at a time: files may be long."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from lowkey.errors import DataError, did_you_mean, shown
from lowkey.files import MIB, parse_json

_MAX_LINE = MIB
_PORTION = 4096
_PAIRS = {"text": "text_pair", "question": "context"}


@dataclass(frozen=True)
class Input:
    """What one prediction is of.

    Attributes:
        text: The text.
        words: The words of a sentence, where it comes as a list.
        pair: The second text, where there is one.
        prefix: What the output is made to begin with, where a line says so.
        adapter: Which of several runs is to answer, where a line says so.
        place: Where it stands, for messages.
    """

    text: str
    pair: str | None = None
    prefix: str | None = None
    place: str = field(default="", compare=False)
    words: list[str] | None = None
    adapter: str | None = None

    @property
    def sentence(self) -> list[str]:
        """The words: those that came as a list, else those of a JSON list, else of the text."""
        if self.words is not None:
            return self.words
        words = _json_words(self.text)
        return self.text.split() if words is None else words


def read_inputs(
    readline: Callable[[int], bytes], place: str, *, column: str, json_lines: bool | None
) -> Iterator[Input]:
    """Reads inputs from a file as they are asked for.

    Args:
        readline: Reads a line of at most so many bytes, as the method of files does.
        place: Name of the file, for messages.
        column: The key of the text in JSONL: "text" (then "text_pair" and "adapter" are read too),
            "question" (then "context" is), "source" (then "prefix" is) or "tokens", which is a
            list of words.
        json_lines: Whether it is JSONL; None goes by whether the first character is ``{``.

    Yields:
        One input per line; in JSONL, blank lines are passed over.

    Raises:
        DataError: If a line is too long, not UTF-8 or, in JSONL, no object with the text.
    """
    for number, line in enumerate(_lines(readline, place), start=1):
        if json_lines is None:
            json_lines = line.lstrip().startswith("{")
        if not json_lines:
            yield Input(line, place=f"{place}:{number}")
        elif line.strip():
            yield _parsed(line, f"{place}:{number}", column)


def portions(inputs: Iterable[Input], size: int | None = None) -> Iterator[list[Input]]:
    """Cuts a stream of inputs into lists that can be predicted together.

    Args:
        inputs: The inputs.
        size: Inputs in a list; by default some thousands.

    Yields:
        So many inputs, in order, the last time perhaps fewer.
    """
    rest = iter(inputs)
    while portion := list(islice(rest, size or _PORTION)):
        yield portion


def _lines(readline: Callable[[int], bytes], place: str) -> Iterator[str]:
    number = 0
    while data := readline(_MAX_LINE + 1):
        number += 1
        where = f"{place}:{number}"
        if len(data) > _MAX_LINE:
            raise DataError(f"the line is longer than {_MAX_LINE // MIB} MiB", where=where)
        try:
            line = data.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            what = f"not UTF-8 (byte 0x{data[error.start]:02X}, column {error.start + 1})"
            raise DataError(what, where=where, fix="save the file as UTF-8") from None
        yield line.removesuffix("\n").removesuffix("\r")


def _parsed(line: str, where: str, column: str) -> Input:
    """Takes the texts out of one object."""
    try:
        record = parse_json(line, where=where)
    except DataError as error:
        # It counts the lines of the text it was given, which is one.
        fix = "each line must be one whole object"
        raise DataError(error.what, where=where, fix=fix) from None
    value = '["...", "..."]' if column == "tokens" else '"..."'
    example = f'write {{"{column}": {value}}}'
    if not isinstance(record, dict):
        raise DataError("not an object", where=where, fix=example)
    if column not in record:
        near = did_you_mean(column, record)
        fix = f"rename {near} to {column}" if near else example
        keys = ", ".join(record) or "none"
        raise DataError(f'has no "{column}"; its keys are: {keys}', where=where, fix=fix)
    if column == "tokens":
        words = record[column]
        if not _are_words(words):
            raise DataError(f"{shown(words)} is no list of words", where=where, fix=example)
        return Input(" ".join(words), place=where, words=words)
    pair = record.get(_PAIRS.get(column, ""))
    prefix = record.get("prefix") if column == "source" else None
    adapter = record.get("adapter") if column == "text" else None
    for text in (record[column], pair or "", prefix or ""):
        if not isinstance(text, str):
            raise DataError(f"{shown(text)} is not a text", where=where)
    # Where one run answers, a key "adapter" is like any other that nobody reads.
    asked = None if adapter is None else str(adapter)
    return Input(record[column], pair, prefix, where, adapter=asked)


def _are_words(value: object) -> bool:
    """Says whether a value is a list of texts, none of them blank."""
    return isinstance(value, list) and all(isinstance(w, str) and w.strip() for w in value)


def _json_words(text: str) -> list[str] | None:
    """Reads a text that is a JSON list of words; None if it is not one."""
    if not text.lstrip().startswith("["):
        return None
    try:
        value = parse_json(text, where="")
    except DataError:
        return None  # a sentence may begin with a bracket
    return value if isinstance(value, list) and _are_words(value) else None
