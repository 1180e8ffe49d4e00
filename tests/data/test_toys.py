"""Toys hold what they say, always the same, and nothing of the training elsewhere."""

import datetime
import functools

import pytest
from dateutil import parser

from lowkey.data.config import DataConfig
from lowkey.data.sources import read_rows
from lowkey.data.toys import SIZES
from lowkey.errors import MissingInputError

NAMES = ("reverse", "copy", "dates")


@functools.cache
def pairs(name: str, split: str) -> list[tuple[str, str]]:
    rows = read_rows(f"toy:{name}", DataConfig(), ("source", "target"), key=f"data.{split}")
    return list(zip(rows.column("source"), rows.column("target"), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_splits_are_whole_repeatable_and_share_nothing(name: str) -> None:
    found = {split: pairs(name, split) for split in SIZES}
    assert {split: len(rows) for split, rows in found.items()} == SIZES
    sources = [source for rows in found.values() for source, _ in rows]
    assert len(set(sources)) == len(sources)
    assert found["test"] == pairs.__wrapped__(name, "test")
    if name == "dates":  # not even the same day in other words
        days = {split: {target for _, target in rows} for split, rows in found.items()}
        assert not days["train"] & days["test"]
        assert not days["train"] & days["validation"]


def test_words_are_reversed_or_copied() -> None:
    for source, target in pairs("reverse", "test"):
        assert target == "".join(reversed(source))
        assert source.isascii()
        assert source.islower()
    assert {len(source) for source, _ in pairs("copy", "test")} == set(range(3, 13))
    assert all(source == target for source, target in pairs("copy", "test"))


@pytest.mark.parametrize("split", SIZES)
def test_dates_are_what_an_independent_parser_reads(split: str) -> None:
    # A parser takes no notice of a wrong weekday: that is looked at below.
    near = datetime.datetime(2024, 1, 1)
    for source, target in pairs("dates", split)[:1000]:
        assert parser.parse(source, dayfirst=True, default=near).date().isoformat() == target


def test_weekdays_are_those_of_the_calendar() -> None:
    seen = set()
    for source, target in pairs("dates", "test"):
        word = source.partition(",")[0]
        day = datetime.date.fromisoformat(target)
        if "," in source and not word[-1].isdigit():
            assert word in (f"{day:%A}", f"{day:%a}")
            seen.add(word)
    assert len(seen) == 14


def test_all_ways_to_write_a_day_occur() -> None:
    shapes = {
        "".join("9" if char.isdigit() else "x" if char.isalpha() else char for char in source)
        .replace("99", "9")
        .replace("99", "9")
        for source, _ in pairs("dates", "test")
    }
    assert {"9/9/9", "9.9.9"} <= shapes


def test_an_unknown_toy_is_named() -> None:
    with pytest.raises(MissingInputError, match=r"no toy task .revers.\s.*toy:reverse"):
        pairs("revers", "train")
    with pytest.raises(MissingInputError, match="the toys are reverse, copy, dates"):
        pairs("chess", "train")


def test_a_limit_takes_the_first_rows() -> None:
    rows = read_rows("toy:copy", DataConfig(limit=7), ("source", "target"), key="data.train")
    assert [row["source"] for row in rows] == [source for source, _ in pairs("copy", "train")[:7]]
