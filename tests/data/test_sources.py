"""Every kind of source gives the same rows; every missing one is named."""

import csv
import gzip
import json
import sys

import pytest

from lowkey.data.config import DataConfig
from lowkey.data.sources import read_rows
from lowkey.errors import DataError, MissingInputError, UnavailableError

ROWS = [
    {"text": "NA", "label": "01"},
    {"text": "null", "label": "1e-4"},
    {"text": 'a "b", c', "label": "None"},
]
REQUIRED = ("text", "label")


def write(folder, kind, rows=ROWS, stem="train"):
    """Writes rows with the standard library, in one of the text formats."""
    path = folder / f"{stem}.{kind}"
    folder.mkdir(parents=True, exist_ok=True)
    if kind in ("csv", "tsv"):
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0], delimiter="\t" if kind == "tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    elif kind == "json":
        path.write_text(json.dumps(rows, indent=1))
    else:
        text = "".join(json.dumps(row) + "\r\n" for row in rows)
        path.write_bytes(gzip.compress(text.encode()) if kind.endswith("gz") else text.encode())
    return path


def read(source, key="data.train", **settings):
    return read_rows(str(source), DataConfig(**settings), REQUIRED, key=key)


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "json", "csv", "tsv"])
def test_every_text_format_gives_the_same_rows(tmp_path, kind):
    path = write(tmp_path, kind)
    rows = read(path)
    assert list(rows) == ROWS
    assert rows.where(0).startswith(f"{path}:")
    assert rows.sha256 == read(write(tmp_path / "other", "jsonl")).sha256


def test_the_format_may_be_told(tmp_path):
    path = write(tmp_path, "csv").rename(tmp_path / "train.txt")
    with pytest.raises(DataError, match=r"set data\.format to one of"):
        read(path)
    assert list(read(path, format="csv")) == ROWS


@pytest.mark.parametrize(
    ("key", "stem"),
    [
        ("data.train", "train"),
        ("data.validation", "dev"),
        ("data.test", "test"),
        ("--data", "test"),
    ],
)
def test_a_folder_gives_the_file_of_the_split(tmp_path, key, stem):
    for number, name in enumerate(("train", "dev", "test")):
        write(tmp_path, "jsonl", [{"text": name, "label": number}], stem=name)
    (tmp_path / "train.md").write_text("notes")
    assert read(tmp_path, key).column("text") == [stem]


def test_a_folder_with_two_files_or_none_is_refused(tmp_path):
    with pytest.raises(MissingInputError, match=r"data\.train: .* holds no file train\.\*"):
        read(tmp_path)
    write(tmp_path, "csv")
    write(tmp_path, "jsonl")
    with pytest.raises(DataError, match=r"holds train\.csv and train\.jsonl — name the file"):
        read(tmp_path)


def test_a_missing_file_is_named_with_the_nearest_one(tmp_path):
    write(tmp_path, "tsv")
    with pytest.raises(MissingInputError) as caught:
        read(tmp_path / "trian.tsv")
    assert str(caught.value) == (
        f"data.train: no such file {tmp_path}/trian.tsv — did you mean {tmp_path}/train.tsv?"
    )


@pytest.mark.parametrize("name", ["data/train.jsonl", "nothing", "./name", "~nobody-here/a.csv"])
def test_what_looks_like_a_path_is_not_asked_of_the_hub(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingInputError, match="no such file"):
        read(name)


def test_the_hub_out_of_reach_is_one_line_with_what_to_do():
    with pytest.raises(UnavailableError) as caught:
        read("nobody/nothing:small")
    assert str(caught.value) == (
        'data set "nobody/nothing:small" is no file here and the hub cannot be reached'
        " (offline) — download it elsewhere with 'hf download --repo-type dataset nobody/nothing'"
        " and give the path"
    )
    assert caught.value.exit_code == 69


@pytest.mark.parametrize(
    ("kind", "content", "expected"),
    [
        ("jsonl", "", 'is empty (0 bytes) — expected one JSON object per line with "text" and'),
        ("csv", "\n\n", "holds nothing but blank lines — expected a line that names the columns"),
        ("json", "[]", "holds no rows"),
        ("csv", "text,label\n", "has a header and no rows"),
    ],
)
def test_an_empty_file_says_what_was_expected(tmp_path, kind, content, expected):
    path = tmp_path / f"train.{kind}"
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path} {expected}")


def test_a_name_that_no_file_can_have_is_one_line():
    with pytest.raises(MissingInputError, match=r"^data\.train: .* cannot be read: File name too"):
        read("a" * 5000)
    with pytest.raises(MissingInputError, match="no such file"):
        read("a\0b")


def test_a_file_inside_a_package_is_found_without_importing_it(tmp_path, monkeypatch):
    package = tmp_path / "some_package"
    write(package / "sets", "jsonl.gz")
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert list(read("package:some_package/sets/train.jsonl.gz")) == ROWS
    assert list(read("package:some_package/sets")) == ROWS
    assert "some_package" not in sys.modules


@pytest.mark.parametrize(
    "source",
    ["package:no_such_package/a.csv", "package:", "package:lowkey/../a.csv", "package:a b/c.csv"],
)
def test_a_package_that_is_not_there_is_named(source):
    with pytest.raises(MissingInputError, match=r"^data\.train: package:"):
        read(source)


def test_other_encodings_and_delimiters_are_read_as_told(tmp_path):
    path = tmp_path / "train.csv"
    path.write_bytes("text;label\ncafé;1\n".encode("cp1252"))
    with pytest.raises(DataError, match=r"set data\.encoding: cp1252"):
        read(path)
    rows = read(path, encoding="cp1252", delimiter=";")
    assert list(rows) == [{"text": "café", "label": "1"}]
