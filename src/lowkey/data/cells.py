"""What may stand in a cell of each standard column."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

LISTS = ("alternatives", "tokens", "tags", "answers.text", "answers.answer_start")
"""The columns whose cells hold lists."""

MAY_BE_EMPTY = ("alternatives", "answers.text", "answers.answer_start")
"""Those of them that may be empty; a single value stands for a list there."""

COUPLES = (
    ("tokens", "tags", "each word needs one tag"),
    ("answers.text", "answers.answer_start", "each answer needs the character it begins at"),
)
"""Columns whose lists have one length, and what to do about others."""


class Kind(NamedTuple):
    """What the cells of a column hold.

    Attributes:
        fits: Whether a value is of this kind.
        name: The kind in words, for messages.
    """

    fits: Callable[[Any], bool]
    name: str


def kind_of(column: str) -> Kind:
    """Says what a standard column holds.

    Args:
        column: Its name.

    Returns:
        The kind of its cells.
    """
    return _KINDS.get(column, _TEXT)


def is_empty(value: Any) -> bool:
    """Says whether a value is missing or holds nothing but white space.

    Args:
        value: A cell as it was read.

    Returns:
        Whether nothing is in it; a list without elements is empty too.
    """
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def as_list(value: Any) -> Any:
    """Brings a missing list, or a single text or number, into the form of a list.

    Args:
        value: A cell as it was read.

    Returns:
        A list; what is neither is left as it is.
    """
    if is_empty(value):
        return []
    return [value] if isinstance(value, str | int) else value


def first_of_other_kind(values: Sequence[Any]) -> int | None:
    """Finds the first cell that is a list where those before it are none, or the other way round.

    Args:
        values: The cells of a column.

    Returns:
        Its position; None if all cells are lists, or none is.
    """
    kinds = [isinstance(value, list) for value in values]
    return kinds.index(not kinds[0]) if len(set(kinds)) > 1 else None


def _is_text(value: Any) -> bool:
    """Says whether a value is a text that can be written as UTF-8 (no lone surrogates)."""
    if not isinstance(value, str):
        return False
    return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)


def _is_list_of_texts(value: Any) -> bool:
    """Says whether a value is a list of texts."""
    return isinstance(value, list) and all(map(_is_text, value))


def _is_list_of_words(value: Any) -> bool:
    """Says whether a value is a list of texts none of which is blank."""
    return _is_list_of_texts(value) and not any(map(is_empty, value))


def _is_list_of_starts(value: Any) -> bool:
    """Says whether a value is a list of whole numbers from 0."""
    return isinstance(value, list) and all(type(one) is int and one >= 0 for one in value)


def _is_label(value: Any) -> bool:
    """Says whether a value can be a label: a text, a whole number or a finite one."""
    return isinstance(value, int) or (
        math.isfinite(value) if isinstance(value, float) else _is_text(value)
    )


def _is_list_of_labels(value: Any) -> bool:
    """Says whether a value is a list of labels none of which is blank."""
    return isinstance(value, list) and all(_is_label(one) and not is_empty(one) for one in value)


def _is_label_or_list(value: Any) -> bool:
    """Says whether a value is a label, or a list of them."""
    return _is_list_of_labels(value) or _is_label(value)


_TEXT = Kind(_is_text, "a text")
_KINDS = {
    "label": Kind(_is_label_or_list, "a text, a number or a list of such labels"),
    "alternatives": Kind(_is_list_of_texts, "a list of texts"),
    "tokens": Kind(_is_list_of_words, "a list of words, none of them empty"),
    "tags": Kind(_is_list_of_labels, "a list of tags, none of them empty"),
    "answers.text": Kind(_is_list_of_words, "a list of texts, none of them empty"),
    "answers.answer_start": Kind(_is_list_of_starts, "a list of whole numbers from 0"),
}
