import gzip

import pytest

from lowkey.data.config import DataConfig
from lowkey.data.sources import read_rows
from lowkey.errors import DataError


def read(path, **options):
    return read_rows(str(path), DataConfig(**options), ("text",), key="data.train")


def test_each_line_is_a_text_and_knows_where_it_stands(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_bytes('\ufeffIt rains.\r\n\r\n  \r\nIt \u2028pours, "he said".'.encode())
    rows = read(path)
    assert list(rows.column("text")) == ["It rains.", 'It \u2028pours, "he said".']
    assert [rows.where(i) for i in range(2)] == [f"{path}:1", f"{path}:4"]
    packed = tmp_path / "texts.txt.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read(packed).sha256 == rows.sha256
    other = path.rename(tmp_path / "texts.log")
    assert read(other, format="txt").sha256 == rows.sha256
    with pytest.raises(DataError, match="the ending of the name tells no format"):
        read(other)


def test_a_file_without_a_text_is_refused(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n \n")
    with pytest.raises(DataError, match="nothing but blank lines — expected one text per line"):
        read(path)


def test_other_columns_are_not_in_it(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("a\n")
    with pytest.raises(DataError, match="the ending of the name tells no format"):
        read_rows(str(path), DataConfig(), ("text", "label"), key="data.train")
    with pytest.raises(DataError, match='has no column "label"; its columns are: text'):
        read_rows(str(path), DataConfig(format="txt"), ("text", "label"), key="data.train")
