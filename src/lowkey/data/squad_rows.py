"""Reads questions, contexts and answers in the nested JSON that SQuAD ships."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from lowkey.data.json_rows import decode_value
from lowkey.data.table import Table, table_of_records
from lowkey.errors import DataError, shown


def parse_squad(text: str, place: str) -> Table | None:
    """Reads a file of SQuAD's form, version 1 or 2: ``data``, ``paragraphs``, ``qas``.

    Args:
        text: The content of the file.
        place: The file, for messages.

    Returns:
        One row for each question, numbered from 1, with ``id``, ``title``, ``context``,
        ``question``, ``answers.text`` and ``answers.answer_start``; these two are empty where a
        question is impossible. None if the file is no object, or one without a list ``data``.

    Raises:
        DataError: If it is not JSON, if a part of it is missing or of another type, or if a
            question is impossible and has answers.

    Example:
        >>> table = parse_squad('{"data": [{"paragraphs": [{"context": "It rains.", "qas": ['
        ...     '{"question": "Does it?", "answers": [{"text": "rains", "answer_start": 3}]}'
        ...     ']}]}]}', "a.json")
        >>> table.column("question"), table.column("answers.text")
        (['Does it?'], [['rains']])
    """
    begin = len(text) - len(text.lstrip(" \t\r\n"))
    if text[begin : begin + 1] != "{":
        return None
    line = 1 + text.count("\n", 0, begin)
    document, end = decode_value(text, begin, f"{place}:{line}")
    if not isinstance(document.get("data"), list):
        return None
    if text[end:].strip():
        raise DataError("not JSON (text after the object)", where=place)
    return replace(table_of_records(place, list(_records(document, place)), []), lines=None)


def _records(document: dict[str, Any], place: str) -> Iterator[dict[str, Any]]:
    for i, article in enumerate(document["data"]):
        for j, paragraph in enumerate(_list(article, "paragraphs", f"{place}: data[{i}]")):
            where = f"{place}: data[{i}].paragraphs[{j}]"
            context = _text(paragraph, "context", where)
            for k, question in enumerate(_list(paragraph, "qas", where)):
                yield {
                    "id": question.get("id") if isinstance(question, dict) else None,
                    "title": article.get("title"),
                    "context": context,
                    **_asked(question, f"{where}.qas[{k}]"),
                }


def _asked(question: Any, where: str) -> dict[str, Any]:
    """Reads a question and its answers."""
    text, answers = _text(question, "question", where), []
    # Version 2 gives impossible questions plausible_answers, which are wrong ones.
    if "answers" in question or question.get("is_impossible") is not True:
        answers = _list(question, "answers", where)
    if answers and question.get("is_impossible") is True:
        raise DataError("is_impossible is true, but there are answers", where=where)
    texts = [_text(one, "text", f"{where}.answers[{n}]") for n, one in enumerate(answers)]
    starts = [one.get("answer_start") for one in answers]
    return {"question": text, "answers.text": texts, "answers.answer_start": starts}


def _list(value: Any, key: str, where: str) -> list[Any]:
    return _typed(value, key, list, "a list", where)


def _text(value: Any, key: str, where: str) -> str:
    return _typed(value, key, str, "a text", where)


def _typed(value: Any, key: str, kind: type, name: str, where: str) -> Any:
    found = value.get(key) if isinstance(value, dict) else None
    if not isinstance(found, kind):
        what = f'"{key}" must be {name}, got {shown(found)}'
        raise DataError(what, where=where, fix="give the file as SQuAD has it")
    return found
