"""Toy tasks: pairs of texts that code makes, always the same ones, to learn on first.

Every row is a function of the task and a number, so there is no file and no random state. Which
split a row belongs to is a function of what must stay unseen: the word, or the calendar day. So
nothing of the training split occurs in another one.
"""

import datetime
from collections.abc import Callable
from dataclasses import dataclass

from lowkey.data.table import Table, table_of_records
from lowkey.errors import MissingInputError, did_you_mean
from lowkey.runtime import seed_for

PREFIX = "toy:"
SIZES = {"train": 20_000, "validation": 500, "test": 1_000}

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_FIRST_DAY = datetime.date(2000, 1, 1).toordinal()
_NUM_DAYS = datetime.date(2050, 1, 1).toordinal() - _FIRST_DAY


@dataclass(frozen=True)
class _Row:
    """A pair, and what of it must not be seen in training if it is to be a test."""

    source: str
    target: str
    unseen: str


class _Chances:
    """Small numbers drawn from one large one, so that a row needs no random state."""

    def __init__(self, number: int):
        self._rest = number

    def below(self, bound: int) -> int:
        """Draws a number from 0 to bound - 1."""
        self._rest, drawn = divmod(self._rest, bound)
        return drawn


def toy_table(source: str, split: str, key: str) -> Table:
    """Makes the rows of a toy task: ``source`` and ``target``, all different.

    Args:
        source: ``toy:reverse`` (a word backwards), ``toy:copy`` (a word again) or ``toy:dates``
            (a day in English, day before month, to year-month-day).
        split: ``train``, ``validation`` or ``test``.
        key: The key or option that names the source, for messages.

    Returns:
        The rows of the split.

    Raises:
        MissingInputError: If there is no such task.

    Example:
        >>> table = toy_table("toy:reverse", "test", "data.test")
        >>> word, backwards = (table.column(name)[0] for name in ("source", "target"))
        >>> word[::-1] == backwards
        True
    """
    name = source.removeprefix(PREFIX)
    make = _TASKS.get(name)
    if make is None:
        near = did_you_mean(name, _TASKS)
        fix = f"did you mean {PREFIX}{near}?" if near else f"the toys are {', '.join(_TASKS)}"
        raise MissingInputError(f'there is no toy task "{name}"', where=key, fix=fix)
    rows: dict[str, str] = {}
    index = 0
    while len(rows) < SIZES[split]:
        row = make(_Chances(seed_for("toy", name, index)))
        if _split_of(name, row.unseen) == split:
            rows.setdefault(row.source, row.target)
        index += 1
    records = [{"source": text, "target": target} for text, target in rows.items()]
    return table_of_records(f"{source} ({split})", records, range(1, len(records) + 1))


def _split_of(name: str, unseen: str) -> str:
    """Deals eight tenths to training and one tenth each to the other two."""
    place = seed_for("toy", name, "split", unseen) % 10
    return {0: "test", 1: "validation"}.get(place, "train")


def _reversed(chances: _Chances) -> _Row:
    word = _word(chances)
    return _Row(word, word[::-1], unseen=word)


def _copied(chances: _Chances) -> _Row:
    word = _word(chances)
    return _Row(word, word, unseen=word)


def _word(chances: _Chances) -> str:
    """Draws 3 to 12 letters."""
    length = 3 + chances.below(10)
    return "".join(chr(ord("a") + chances.below(26)) for _ in range(length))


def _date(chances: _Chances) -> _Row:
    """Draws a day of the years 2000 to 2049 and one of the ways to write it."""
    day = datetime.date.fromordinal(_FIRST_DAY + chances.below(_NUM_DAYS))
    text = _WAYS[chances.below(len(_WAYS))](day)
    return _Row(text, day.isoformat(), unseen=day.isoformat())


def _month(day: datetime.date) -> str:
    # Not strftime: it would write in the language of the user's machine.
    return _MONTHS[day.month - 1]


def _weekday(day: datetime.date) -> str:
    return _DAYS[day.weekday()]


def _ordinal(number: int) -> str:
    """Writes 1st, 2nd, 3rd, 4th ..., and 11th to 13th."""
    last = 0 if 10 < number % 100 < 14 else number % 10
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(last, 'th') }"


_WAYS: tuple[Callable[[datetime.date], str], ...] = (
    lambda day: f"{day.day} {_month(day)} {day.year}",
    lambda day: f"{_month(day)} {day.day}, {day.year}",
    lambda day: f"{day.day} {_month(day)[:3]} {day.year}",
    lambda day: f"{_weekday(day)[:3]}, {_month(day)[:3]} {_ordinal(day.day)} {day.year}",
    lambda day: f"{_weekday(day)}, {_ordinal(day.day)} of {_month(day)} {day.year}",
    lambda day: f"{day.day:02}/{day.month:02}/{day.year % 100:02}",
    lambda day: f"{day.day}.{day.month}.{day.year}",
)

_TASKS: dict[str, Callable[[_Chances], _Row]] = {
    "reverse": _reversed,
    "copy": _copied,
    "dates": _date,
}
