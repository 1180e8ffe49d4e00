"""The texts of the benchmark ``compare-topics``, made from two small files."""

import json
import sys
from pathlib import Path

import pytest

# benchmarks/ stands beside src/ and is no part of the installed package.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.debian_topics import Package, main, read_packages, splits_of, text_about
from benchmarks.description_files import Description

PACKAGES = """\
Package: frog
Source: pond (1.2-3)
Section: games
Tag: game::arcade,
 Section: not-this-one
Description-md5: aaa1

Package: heron
Section: contrib/net
Description-md5: bbb2

Package: libfrog
Section: libs
Description-md5: ccc3

Package: no-section
Description-md5: aaa1
"""
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
Description-en: bird over the net

Package: libfrog
Description-md5: ccc3
Description-en: frogs for programs
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("Packages").write_text(PACKAGES)
    Path("Translation-en").write_text(ENGLISH)
    return ["Packages", "Translation-en"]


def test_packages_are_read_with_their_source_and_section(files):
    assert read_packages(Path("Packages")) == [
        Package("pond", "games", "aaa1"),
        Package("heron", "net", "bbb2"),
        Package("libfrog", "libs", "ccc3"),
    ]


def test_a_text_is_the_title_and_what_is_running_text():
    paragraphs = [["The frog crosses a road", "and a river."], ["Features:", " * flies"], ["Fun."]]
    assert text_about(Description("frog", "a game", paragraphs)) == (
        "a game. The frog crosses a road and a river. Fun."
    )
    assert text_about(Description("frog", "a game", [])) == "a game."
    assert len(text_about(Description("frog", "a game", [["x" * 2000]]))) == 1500


def test_a_source_is_in_one_split_and_a_text_comes_once():
    packages = [Package(f"source{i % 40}", "net", f"md5-{i}") for i in range(200)]
    told = {f"md5-{i}": Description("p", f"title {i % 150} of it", []) for i in range(200)}
    splits = splits_of(packages, told)
    texts = [row["text"] for rows in splits.values() for row in rows]
    assert len(texts) == len(set(texts)) == 150
    assert all(splits.values())
    sources = [{int(row["text"].split()[1]) % 40 for row in rows} for rows in splits.values()]
    assert sum(map(len, sources)) == len(set.union(*sources))
    assert len(splits["train"]) > len(splits["test"]) + len(splits["validation"])


def test_the_files_are_written_and_nothing_is_overwritten(files, capsys):
    assert main([*files, "--out", "topics"]) == 0
    rows = [
        json.loads(line)
        for path in Path("topics").iterdir()
        for line in path.read_text().split("\n")[:-1]
    ]
    assert sorted(row["label"] for row in rows) == ["games", "net"]
    assert main([*files, "--out", "topics"]) == 2
    assert "topics exists already and is kept" in capsys.readouterr().err
    Path("empty").write_text("Package: x\n")
    assert main(["empty", "Translation-en", "--out", "other"]) == 65
    assert "empty holds no packages with sections" in capsys.readouterr().err
    assert not Path("other").exists()
