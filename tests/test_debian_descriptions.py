"""The pairs of the benchmark ``translate``, rebuilt from two small files of descriptions."""

import bz2
import gzip
import json
import lzma
import re
import sys
from pathlib import Path

import pytest

# benchmarks/ stands beside src/ and is no part of the installed package.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import description_files
from benchmarks.debian_descriptions import (
    Pair,
    comparison,
    family_of,
    main,
    pairs_of,
    read_splits,
    split_pairs,
)
from benchmarks.description_files import read_descriptions

ENGLISH = """\
Package: frog
Description-md5: aaa1
Description-en: game about a frog
 The frog crosses a road
 and a river.
 .
 Features:
  * flies
 .
 It needs 2 players.

Package: heron
Description-md5: bbb2
Description-en: game about a heron
 The heron eats the frog.
 .
 It needs 3 players.

Package: lonely
Description-md5: ccc3
Description-en: never translated at all

Package: toad
Description-md5: ddd4
Description-en: Game about a FROG!
 This is a toad.
"""
# In another order, and the second has one paragraph less.
GERMAN = """\
Package: toad
Description-md5: ddd4
Description-de: Spiel um einen Frosch
 Dies ist eine Kröte.

Package: heron
Description-md5: bbb2
Description-de: Spiel um einen Reiher
 Der Reiher frisst den Frosch. Man spielt zu dritt.

Package: frog
Description-md5: aaa1
Description-de: Spiel mit einem Frosch
 Der Frosch quert eine Straße
 und einen Fluss.
 .
 Merkmale:
  * Fliegen
 .
 Man spielt zu zweit.

Package: orphan
Description-md5: eee5
Description-de: Dies übersetzt etwas, das es nicht mehr gibt
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    english, german = tmp_path / "Translation-en", tmp_path / "Translation-de"
    english.write_text(ENGLISH, encoding="utf-8")
    german.write_text(GERMAN, encoding="utf-8")
    return english, german


def aligned(english: Path, german: Path) -> list[Pair]:
    return pairs_of(read_descriptions(english, "en"), read_descriptions(german, "de"))


def test_titles_and_paragraphs_are_aligned(files):
    assert aligned(*files) == [
        # The first of two titles that differ in capitals and punctuation alone.
        Pair("Game about a FROG!", "Spiel um einen Frosch", "toad"),
        Pair("This is a toad.", "Dies ist eine Kröte.", "toad"),
        # Not as many paragraphs on both sides: the title alone.
        Pair("game about a heron", "Spiel um einen Reiher", "heron"),
        # Lines are joined; the list is left out, and what follows it is not moved up.
        Pair(
            "The frog crosses a road and a river.",
            "Der Frosch quert eine Straße und einen Fluss.",
            "frog",
        ),
        Pair("It needs 2 players.", "Man spielt zu zweit.", "frog"),
    ]


@pytest.mark.parametrize(
    ("source", "target", "kept"),
    [
        ("two words", "zwei Wörter", True),
        ("singleword", "Einzelwort", False),
        ("same text", "same text", False),
        ("word " * 79 + "word", "Wort " * 80, True),
        ("word " * 80 + "word", "Wort " * 81, False),
        ("ten chars!", "x" * 25, True),
        ("ten chars!", "x" * 26, False),
        ("ten chars!", "x" * 4, True),
        ("ten chars!", "xxx", False),
        ("abcdef 123", "abcdef 12", False),
        ("abcdefg 12", "abcdefg 1", True),
        ("- a bullet", "- ein Punkt", False),
    ],
)
def test_what_is_no_sentence_is_left_out(files, source, target, kept):
    for path, language, text in zip(files, ("en", "de"), (source, target), strict=True):
        stanza = f"Package: p\nDescription-md5: 1\nDescription-{language}: x\n {text.strip()}\n"
        path.write_text(stanza, encoding="utf-8")
    found = [(pair.source, pair.target) for pair in aligned(*files)]
    assert found == ([(source.strip(), target.strip())] if kept else [])


@pytest.mark.parametrize("packed", [(gzip, ".gz"), (bz2, ".bz2"), (lzma, ".xz")])
def test_packed_files_hold_the_same(files, packed):
    packer, suffix = packed
    plain = aligned(*files)
    packed_files = []
    for path in files:
        packed_files.append(path.with_name(path.name + suffix))
        packed_files[-1].write_bytes(packer.compress(path.read_bytes()))
    assert aligned(*packed_files) == plain


def many_pairs() -> list[Pair]:
    """Two packages of each of 3000 families, and in every family a sentence with a number."""
    pairs = []
    for number in range(3000):
        letters = "".join(chr(97 + int(digit)) for digit in f"{number:04}")
        for package in (f"lib{letters}7-dev", f"lib{letters}0"):
            pairs.append(Pair(f"text of {package}", f"Text von {package}", package))
        pairs.append(Pair(f"version {number} of it", f"Version {number} davon", f"lib{letters}1"))
    return pairs


def test_splits_share_no_family_and_no_source_up_to_digits():
    pairs = many_pairs()
    package = {pair.source: pair.package for pair in pairs}
    splits = split_pairs(pairs)
    names = ("train", "validation", "test")
    families = [{family_of(package[row[0]]) for row in splits[name]} for name in names]
    assert sum(map(len, families)) == len(set.union(*families)) == 3000
    shares = [len(family) / 3000 for family in families]
    assert shares == pytest.approx([0.94, 0.02, 0.04], abs=0.01)
    # All of "version 12 of it" stay in train, and none of them elsewhere.
    versions = [sum(row[0].startswith("version") for row in splits[name]) for name in names]
    assert versions[0] == len(families[0])
    assert versions[1:] == [0, 0]
    plain = [{re.sub(r"\d", "", row[0]) for row in splits[name]} for name in names]
    assert sum(map(len, plain)) == len(set.union(*plain))


def test_the_split_of_a_family_does_not_depend_on_the_others():
    pairs = many_pairs()
    whole = {row: name for name, rows in split_pairs(pairs).items() for row in rows}
    half = split_pairs(pairs[: len(pairs) // 2])
    assert all(whole[row] == name for name, rows in half.items() for row in rows)


def test_the_files_are_written_read_back_and_compared(files, tmp_path, capsys):
    out = tmp_path / "data" / "pairs"
    assert main([*map(str, files), "--out", str(out)]) == 0
    lines = [line for path in sorted(out.iterdir()) for line in path.read_text().splitlines()]
    assert {(row["source"], row["target"]) for row in map(json.loads, lines)} == {
        (pair.source, pair.target) for pair in aligned(*files)
    }
    assert main([*map(str, files), "--check", str(out)]) == 0
    assert (
        "train: 5 of 5 pairs are the same, 5 of them in train here too" in capsys.readouterr().out
    )
    # A set that lies elsewhere, and one pair that is another.
    moved = {"train": [], "validation": [], "test": [*read_splits(out)["train"][1:], ("a", "b")]}
    assert comparison(read_splits(out), moved).splitlines() == [
        "train: 0 of 0 pairs are the same, 0 of them in train here too",
        "validation: 0 of 0 pairs are the same, 0 of them in validation here too",
        "test: 4 of 5 pairs are the same, 0 of them in test here too",
        "only here: 1 pairs",
    ]
    assert main([*map(str, files), "--out", str(out)]) == 2
    assert "exists already and is kept" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "code", "told"),
    [
        ("Translation-en", None, 66, "no such file"),
        ("Translation-en", b"", 65, "holds no descriptions"),
        ("Translation-en", b"\n\n\n", 65, "holds no descriptions"),
        ("Translation-en", b"\xff\xfe", 65, "Translation-en:1: not UTF-8"),
        ("Translation-en", b"\n<html>\n", 65, "Translation-en:2: Package, Description-md5"),
        ("Translation-en", b" indented\n", 65, "a stanza without Package"),
        ("Translation-en", GERMAN.encode(), 65, "Description-en or an indented line"),
        ("Translation-en", b"Package: a\nDescription-en: b\n", 65, "without Description-md5"),
        ("Translation-en", ENGLISH.encode() * 400, 65, "more than 0.1 MiB of text"),
        ("Translation-en.xz", b"no xz", 65, "cannot be unpacked"),
        ("Translation-en.xz", lzma.compress(ENGLISH.encode())[:-20], 65, "cannot be unpacked"),
        ("Translation-en.gz", gzip.compress(ENGLISH.encode())[:-9], 65, "cannot be unpacked"),
        ("Translation-en.gz", b"\x1f\x8b\x08" + bytes(30), 65, "cannot be unpacked"),
        ("Translation-en.bz2", b"BZh9" + bytes(30), 65, "cannot be unpacked"),
        ("Translation-en.bz2", bz2.compress(bytes(10**7)), 65, "more than 0.1 MiB of text"),
    ],
)
def test_a_damaged_file_gets_one_line(files, monkeypatch, capsys, name, content, code, told):
    monkeypatch.setattr(description_files, "MAX_MIB", 0.1)
    english = files[0].with_name(name)
    english.unlink(missing_ok=True)
    if content is not None:
        english.write_bytes(content)
    out = english.parent / "out"
    assert main([str(english), str(files[1]), "--out", str(out)]) == code
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert told in line
    assert not out.exists()


@pytest.mark.parametrize("row", ["[]", "{", '{"source": "a"}', '{"source": "a", "target": 1}'])
def test_a_damaged_set_to_compare_with_gets_one_line(files, tmp_path, capsys, row):
    for name in ("train", "validation", "test"):
        (tmp_path / f"{name}.jsonl").write_text(row + "\n")
    assert main([*map(str, files), "--check", str(tmp_path)]) == 65
    [line] = capsys.readouterr().err.splitlines()
    assert "train.jsonl:1" in line
