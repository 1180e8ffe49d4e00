"""From bytes to text: encodings, marks, packing and caps."""

import gzip

import pytest

from lowkey.data.text_files import read_data_text
from lowkey.errors import DataError, MissingInputError


def write(tmp_path, data, name="train.csv"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252", "utf-8-sig"])
def test_every_encoding_gives_the_same_text(tmp_path, encoding):
    path = write(tmp_path, "text,label\r\ncafé,1\n".encode(encoding))
    assert read_data_text(path, encoding) == "text,label\r\ncafé,1\n"


def test_a_byte_order_mark_is_dropped_once(tmp_path):
    path = write(tmp_path, b"\xef\xbb\xbf\xef\xbb\xbftext")
    assert read_data_text(path, "utf-8") == "\ufefftext"


def test_a_packed_file_is_unpacked(tmp_path):
    path = write(tmp_path, gzip.compress("ä\n".encode()), "train.jsonl.gz")
    assert read_data_text(path, "utf-8") == "ä\n"


def test_the_first_wrong_byte_is_named_with_its_line_and_column(tmp_path):
    path = write(tmp_path, "text\nüber\nüb caf".encode() + b"\xe9 da\n")
    with pytest.raises(DataError) as caught:
        read_data_text(path, "utf-8")
    assert str(caught.value) == (
        f"{path}:3: not UTF-8 (byte 0xE9, column 7), looks like windows-1252"
        " — set data.encoding: cp1252"
    )


def test_utf_16_is_recognised_by_its_mark(tmp_path):
    path = write(tmp_path, "text\n".encode("utf-16"))
    with pytest.raises(DataError, match=r"UTF-16 — set data.encoding: utf-16"):
        read_data_text(path, "utf-8")


def test_a_bomb_is_stopped_at_the_cap(tmp_path):
    path = write(tmp_path, gzip.compress(b"a" * 3_000_000), "a.jsonl.gz")
    assert path.stat().st_size < 10_000
    with pytest.raises(DataError, match="more than 1 MiB"):
        read_data_text(path, "utf-8", max_bytes=1 << 20)
    assert len(read_data_text(path, "utf-8", max_bytes=3_000_000)) == 3_000_000


@pytest.mark.parametrize("data", [b"plain text", gzip.compress(b"a" * 999)[:-9], b"\x1f\x8b\x08"])
def test_a_damaged_package_is_one_line(tmp_path, data):
    with pytest.raises(DataError, match="not a whole gzip file"):
        read_data_text(write(tmp_path, data, "a.jsonl.gz"), "utf-8")


def test_only_regular_files_are_opened(tmp_path):
    with pytest.raises(MissingInputError):
        read_data_text(tmp_path, "utf-8")
    with pytest.raises(MissingInputError):
        read_data_text(tmp_path / "none.csv", "utf-8")
