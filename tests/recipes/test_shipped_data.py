"""The data of the demo is whole, its splits share nothing, and it says whose it is."""

import gzip
import json
from importlib.resources import files
from typing import Any

import pytest

DATA = files("lowkey") / "recipes" / "data"
SPLITS = ("train", "validation", "test")
SIZES = {
    "pronounce": {"train": 109_991, "validation": 3_736, "test": 11_172},
    "sentiment": {"train": 2_082, "validation": 298, "test": 592},
}
KEY = {"pronounce": "source", "sentiment": "text"}


def packed(name: str, split: str) -> bytes:
    return (DATA / name / f"{split}.jsonl.gz").read_bytes()


def rows(name: str, split: str) -> list[dict[str, Any]]:
    text = gzip.decompress(packed(name, split)).decode("utf-8")
    # Not splitlines(): it also cuts at U+0085, which stands inside one of the sentences.
    return [json.loads(line) for line in text.removesuffix("\n").split("\n")]


@pytest.mark.parametrize("name", SIZES)
def test_the_splits_are_whole_and_share_nothing(name: str) -> None:
    keys = {split: [row[KEY[name]] for row in rows(name, split)] for split in SPLITS}
    assert {split: len(found) for split, found in keys.items()} == SIZES[name]
    assert len(set().union(*keys.values())) == sum(SIZES[name].values())


@pytest.mark.parametrize("split", SPLITS)
def test_pronunciations(split: str) -> None:
    for row in rows("pronounce", split):
        assert set(row) in ({"source", "target"}, {"source", "target", "alternatives"})
        assert all(len(letter) == 1 for letter in row["source"].split(" "))
        assert all(sound.isalpha() and sound.isupper() for sound in row["target"].split(" "))
        others = row.get("alternatives", [row["target"], None])
        assert others[0] == row["target"]
        assert len(set(others)) == len(others) > 1


@pytest.mark.parametrize("split", SPLITS)
def test_labelled_sentences(split: str) -> None:
    found = rows("sentiment", split)
    assert all(row["text"].strip() for row in found)
    assert {row["label"] for row in found} == {"positive", "negative"}
    assert {row["source"] for row in found} == {"amazon", "imdb", "yelp"}


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("split", SPLITS)
def test_the_files_name_no_time_and_no_machine(name: str, split: str) -> None:
    header = packed(name, split)[:10]
    assert header[3] == 0  # no file name, no comment
    assert header[4:8] == bytes(4)  # no time


@pytest.mark.parametrize(
    ("name", "owner"), [("pronounce", "Carnegie Mellon"), ("sentiment", "Kotzias")]
)
def test_the_notice_names_the_owner(name: str, owner: str) -> None:
    assert owner in (DATA / name / "NOTICE").read_text(encoding="utf-8")
    assert owner in (DATA / name / "README.md").read_text(encoding="utf-8")
