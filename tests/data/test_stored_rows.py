"""Rows laid on the disk: those that the ordinary reader gives, from every kind of source."""

import gzip
import json

import datasets
import numpy as np
import pytest

from lowkey.data import hub, stored_rows
from lowkey.data.config import DataConfig
from lowkey.data.sources import read_rows
from lowkey.data.stored_rows import is_stored, read_training_rows, store_rows, take_stored
from lowkey.errors import ConfigError, DataError, MissingInputError
from lowkey.files import Scratch

PAIRS = [{"source": f"s{i}", "target": f"t{i} ä\u2028 o"} for i in range(11)]
BOTH = ("source", "target")


@pytest.fixture(autouse=True)
def small_portions(monkeypatch):
    monkeypatch.setattr(stored_rows, "PORTION", 4)


@pytest.fixture
def scratch(tmp_path):
    return Scratch(tmp_path, "tests", "mend them")


def write_lines(folder, pairs, ending=""):
    for side, key in (("de", "source"), ("en", "target")):
        data = "".join(f"{pair[key]}\r\n" for pair in pairs).encode("utf-8-sig")
        path = folder / f"train.{side}{ending}"
        path.write_bytes(gzip.compress(data) if ending else data)
    return f"{folder}/train.{{de,en}}{ending}"


def write_json(folder, pairs, name="train.jsonl"):
    text = "\n".join(f"{json.dumps(pair)}\n" for pair in pairs)  # a blank line after each
    data = text.encode()
    (folder / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    return str(folder / name)


@pytest.fixture(params=["jsonl", "jsonl.gz", "parquet", "lines", "lines.gz", "saved", "folder"])
def source(request, tmp_path):
    kind, folder = request.param, tmp_path / "data"
    folder.mkdir()
    if kind.startswith("lines"):
        return write_lines(folder, PAIRS, ".gz" if kind.endswith("gz") else "")
    if kind == "saved":
        datasets.Dataset.from_list(PAIRS).save_to_disk(folder / "saved")
        return str(folder / "saved")
    if kind == "parquet":
        datasets.Dataset.from_list(PAIRS).to_parquet(folder / "train.parquet")
        return str(folder / "train.parquet")
    path = write_json(folder, PAIRS, "train.jsonl" if kind == "folder" else f"train.{kind}")
    return str(folder) if kind == "folder" else path


def both_ways(source, scratch, **settings):
    """Reads a source into memory and onto the disk."""
    held = read_rows(source, DataConfig(**settings), BOTH, key="data.train")
    config = DataConfig(memory_map=True, **settings)
    return held, read_training_rows(source, config, BOTH, scratch, key="data.train")


def assert_equal(stored, held):
    assert is_stored(stored)
    assert not is_stored(held)
    assert list(stored) == list(held)
    assert list(stored.numbers) == list(held.numbers)
    assert stored.sha256 == held.sha256
    assert stored.where(0, "target") == held.where(0, "target")
    for name in ("place", "columns", "num_dropped", "has_lines", "places", "source_names"):
        assert getattr(stored, name) == getattr(held, name), name


@pytest.mark.parametrize("limit", [None, 1, 4, 6, 40])
def test_they_are_the_rows_of_the_ordinary_reader(source, scratch, limit):
    held, stored = both_ways(source, scratch, limit=limit)
    assert len(held) == min(limit or 11, 11)
    assert_equal(stored, held)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_columns_and_empty_rows_are_handled_alike(tmp_path, scratch, kind):
    pairs = [{"translation": {"en": f"e{i}" if i % 3 else " ", "de": f"d{i}"}} for i in range(11)]
    path = str(tmp_path / f"train.{kind}")
    if kind == "jsonl":
        write_json(tmp_path, pairs)
    else:
        datasets.Dataset.from_list(pairs).to_parquet(path)
    columns = {"source": "translation.en", "target": "translation.de"}
    held, stored = both_ways(path, scratch, columns=columns, empty="drop")
    assert stored.num_dropped == 4
    assert_equal(stored, held)
    empty = r'^at least \d rows? ha(s|ve) an empty "translation\.en" \(first'
    with pytest.raises(DataError, match=empty):
        read_training_rows(
            path, DataConfig(memory_map=True, columns=columns), BOTH, scratch, key="data.train"
        )
    with pytest.raises(DataError, match=r"its columns are: translation\.en, translation\.de"):
        read_training_rows(path, DataConfig(memory_map=True), BOTH, scratch, key="data.train")


@pytest.mark.parametrize("with_alternatives", [(0,), (9,), (1, 6), range(11)])
def test_alternatives_may_be_rare(tmp_path, scratch, with_alternatives):
    pairs = [
        pair | ({"alternatives": [f"a{i}", "b"]} if i in with_alternatives else {})
        for i, pair in enumerate(PAIRS)
    ]
    held, stored = both_ways(write_json(tmp_path, pairs), scratch)
    assert "alternatives" in stored.columns
    assert_equal(stored, held)


def test_a_key_that_a_later_portion_lacks_is_empty_there(tmp_path, scratch):
    pairs = [*PAIRS[:8], *({"source": "alone"} for _ in range(4))]
    held, stored = both_ways(write_json(tmp_path, pairs), scratch, empty="drop")
    assert stored.num_dropped == 4
    assert_equal(stored, held)


def test_what_is_wrong_is_told_with_its_line_in_the_file(tmp_path, scratch):
    path = tmp_path / "train.jsonl"
    config = DataConfig(memory_map=True)

    def read(source):
        return read_training_rows(str(source), config, BOTH, scratch, key="data.train")

    lines = [json.dumps(pair) for pair in PAIRS]
    path.write_text("\n".join([*lines[:9], "{"]))
    with pytest.raises(DataError, match=r"train\.jsonl:10: not JSON"):
        read(path)
    path.write_text("\n".join([*lines[:9], '{"source": 1, "target": "b"}']))
    with pytest.raises(DataError, match=r'train\.jsonl:10: "source" must be a text, got 1'):
        read(path)
    path.write_text("\n \n")
    with pytest.raises(DataError, match=r"train\.jsonl holds no rows"):
        read(path)
    parallel = write_lines(tmp_path, PAIRS)
    (tmp_path / "train.en").write_text("a\n" * 10)
    with pytest.raises(DataError, match=r"train\.en ends after 10 lines, .*train\.de goes on"):
        read(parallel)
    with pytest.raises(MissingInputError, match=r"did you mean .*train\.jsonl"):
        read(tmp_path / "trian.jsonl")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"bad\.parquet is not a Parquet file that can be read"):
        read(tmp_path / "bad.parquet")


def test_many_rows_go_to_the_disk_by_themselves(source, scratch, monkeypatch):
    def read(memory_map):
        config = DataConfig(memory_map=memory_map)
        return read_training_rows(source, config, BOTH, scratch, key="data.train")

    assert not is_stored(read("auto"))
    monkeypatch.setattr(stored_rows, "LARGE_BYTES", 10)
    monkeypatch.setattr(stored_rows, "LARGE_ROWS", 11)
    assert_equal(read("auto"), read(False))
    monkeypatch.setattr(stored_rows, "LARGE_ROWS", 12)
    assert is_stored(read("auto")) is not source.endswith("saved")


def test_names_of_the_hub_are_loaded_once_and_read_in_parts(scratch, monkeypatch):
    loaded = []

    def load(name, config, split):
        loaded.append((name, config, split))
        return datasets.Dataset.from_list(PAIRS)

    monkeypatch.setattr(hub, "_load", load)
    for memory_map in (True, "auto"):
        config = DataConfig(memory_map=memory_map)
        rows = read_training_rows("owner/name:de", config, BOTH, scratch, key="data.train")
        assert is_stored(rows) is (memory_map is True)
        assert list(rows) == PAIRS
        assert rows.where(9) == "owner/name:de@train row 10"
    assert loaded == [("owner/name", "de", "train")] * 2


def test_what_must_be_read_whole_is_refused_or_left_in_memory(tmp_path, scratch, monkeypatch):
    path = tmp_path / "train.csv"
    path.write_text("source,target\na,b\n")
    monkeypatch.setattr(stored_rows, "LARGE_BYTES", 1)
    for source in (str(path), "toy:copy"):
        with pytest.raises(ConfigError, match=r"^data\.memory_map: .* cannot be read in portions"):
            both_ways(source, scratch)
        rows = read_training_rows(source, DataConfig(), BOTH, scratch, key="data.train")
        assert not is_stored(rows)


def test_rows_are_picked_without_being_read(tmp_path, scratch):
    held, stored = both_ways(write_json(tmp_path, PAIRS), scratch)
    index = np.array([7, 0, 10])
    taken = take_stored(stored, index)
    assert is_stored(taken)
    assert list(taken) == [held[i] for i in index.tolist()]
    assert [taken.where(i) for i in range(3)] == [held.where(i) for i in index.tolist()]
    assert list(take_stored(taken, np.array([2]))) == [held[10]]


def test_portions_without_any_rows_are_an_error(scratch):
    with pytest.raises(DataError, match=r"^a\.jsonl holds no rows"):
        store_rows("a.jsonl", [], scratch)
