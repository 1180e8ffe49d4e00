from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from lowkey.config import Config
from lowkey.config.expectations import accepts, choices, describe, inner


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Inside(Config):
    size: int = Field(1, ge=1)


class Outside(Config):
    inside: Inside | None = None
    table: dict[str, list[Annotated[float, Field(gt=0)]]] = Field({})
    pair: tuple[int, str] = (0, "")


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "a whole number"),
        (float, "a number"),
        (bool, "true or false"),
        (str, "text"),
        (Path, "a path"),
        (Annotated[int, Field(ge=1)], "a whole number of at least 1"),
        (Annotated[int, Field(ge=0, le=9)], "a whole number from 0 to 9"),
        (Annotated[float, Field(gt=0, le=1)], "a number above 0 and at most 1"),
        (Annotated[float, Field(ge=0, lt=1)], "a number of at least 0 and below 1"),
        (Annotated[float, Field(le=2)], "a number of at most 2"),
        (Annotated[int | None, Field(ge=1)], "a whole number of at least 1 or null"),
        (Literal["a", "b"], "one of a, b"),
        (Literal[True, "a"], "one of true, a"),
        (Literal["auto"] | int, "auto or a whole number"),
        (Colour, "one of red, blue"),
        (list[str], "a list (each item text)"),
        (Annotated[list[str], Field(min_length=1)], "a list of at least 1 item (each item text)"),
        (Annotated[str, Field(min_length=1)], "text of at least 1 character"),
        (dict[str, int], "a group of keys"),
        (Inside | None, "a group of keys or null"),
        (object(), "something else"),
    ],
)  # fmt: skip
def test_a_type_is_said_in_words(annotation: object, words: str) -> None:
    assert describe(annotation) == words


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (("inside",), "a group of keys or null"),
        (("inside", "size"), "a whole number of at least 1"),
        (("table", "any", 3), "a number above 0"),
        (("pair", 1), "text"),
    ],
)
def test_a_path_is_followed_into_a_type(path: tuple, words: str) -> None:
    assert describe(inner(Outside, path)) == words


@pytest.mark.parametrize("path", [("absent",), ("inside", "absent"), ("inside", 0), ("pair", "x")])
def test_a_path_may_lead_nowhere(path: tuple) -> None:
    assert inner(Outside, path) is None


def test_what_would_do_is_known() -> None:
    assert accepts(Annotated[int, Field(ge=1)], 1)
    assert not accepts(Annotated[int, Field(ge=1)], 0)
    assert not accepts(int, "1")
    assert not accepts(None, 1)


def test_choices_are_texts_or_groups() -> None:
    assert choices(Literal["a", "b", 3] | None) == ["a", "b"]
    assert choices(Inside | None, groups=True) == [Inside]
