import hashlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowkey.errors import DataError, LowkeyError, MissingInputError
from lowkey.files import parse_json, read_json, read_text, sha256_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**200), 2**200) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)  # fmt: skip


def write(folder: Path, data: bytes) -> Path:
    path = folder / "file.json"
    path.write_bytes(data)
    return path


def test_a_byte_order_mark_is_dropped_and_line_ends_are_kept(tmp_path: Path) -> None:
    assert read_text(write(tmp_path, b"\xef\xbb\xbfa\r\nb\n")) == "a\r\nb\n"


def test_the_place_of_a_wrong_byte_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, b"one\ntwo \xe9t\xe9\n")
    with pytest.raises(DataError) as caught:
        read_text(path)
    assert str(caught.value).startswith(f"{path}:2: not UTF-8 (byte 0xE9, column 5)")


def test_the_size_is_capped(tmp_path: Path) -> None:
    path = write(tmp_path, b"x" * 100)
    assert len(read_text(path, max_bytes=100)) == 100
    with pytest.raises(DataError, match="larger than"):
        read_text(path, max_bytes=99)


def test_a_missing_file_is_told_with_its_nearest_neighbour(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").touch()
    with pytest.raises(MissingInputError, match=r"no such file .*trian.tsv — did .*/train.tsv\?"):
        read_text(tmp_path / "trian.tsv")
    with pytest.raises(MissingInputError, match="does not exist either"):
        read_text(tmp_path / "nowhere" / "train.tsv")
    with pytest.raises(MissingInputError):
        read_text(tmp_path / "train.tsv" / "x")
    with pytest.raises(MissingInputError):
        read_text(tmp_path / "a\0b")


def test_pipes_folders_and_link_loops_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for name, reason in (("pipe", "a pipe"), ("", "a folder"), ("loop", "cannot read|no such")):
        with pytest.raises(MissingInputError, match=reason):
            read_text(tmp_path / name)


@settings(deadline=None)
@given(VALUES)
def test_json_is_read_as_the_standard_library_writes_it(value: object) -> None:
    assert parse_json(json.dumps(value), where="x") == value


@settings(deadline=None)
@given(st.binary() | VALUES.map(lambda v: json.dumps(v).encode()), st.data())
def test_any_bytes_give_a_value_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, draw: st.DataObject
) -> None:
    cut = draw.draw(st.integers(0, len(data)))
    damaged = data[:cut] + draw.draw(st.binary(max_size=3)) + data[cut + 1 :]
    path = write(tmp_path_factory.mktemp("json"), damaged)
    message = ""
    try:
        read_json(path)
    except LowkeyError as error:
        message = str(error)
    assert message.isprintable()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ('{"a": 1, "b": 2, "a": 3}', 'the key "a" is given twice'),
        ("[NaN]", "NaN is not JSON"),
        ("[-Infinity]", "-Infinity is not JSON"),
        ("1e999", "too large"),
        ("1" * 5000, "too long"),
        ("[" * 65 + "]" * 65, "more than 64 levels"),
        ("[" * 100_000, "more than 64 levels"),
        ('{"a":' * 65 + "1" + "}" * 65, "more than 64 levels"),
        (r'"\ud800"', "surrogate"),
        (r'{"\ud800": 1}', "surrogate"),
        ('[\n1,\n2\n"x"]', r"json:4: not JSON \(Expecting ',' delimiter at column 1\)"),
    ],
)
def test_what_others_let_pass_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        read_json(write(tmp_path, text.encode()))


def test_64_levels_are_accepted() -> None:
    assert parse_json("[" * 64 + "]" * 64, where="x") is not None


@settings(deadline=None)
@given(st.binary())
def test_the_hash_is_that_of_the_content(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = write(tmp_path_factory.mktemp("hash"), data * 1000)
    assert sha256_of(path) == hashlib.sha256(data * 1000).hexdigest()


def test_a_file_that_cannot_be_hashed_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError):
        sha256_of(tmp_path / "absent")
