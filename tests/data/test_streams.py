"""Windows of a stream: each row once a pass, the same from wherever one begins."""

import gzip
import json
import os

import datasets
import pytest

from lowkey.data import streams
from lowkey.data.config import DataConfig
from lowkey.data.streams import RowStream
from lowkey.errors import ConfigError, DataError, MissingInputError

PAIRS = [{"source": f"s{i}", "target": f"t{i}"} for i in range(10)]
BOTH = ("source", "target")


@pytest.fixture(params=["jsonl", "parquet", "lines", "lines.gz"])
def source(request, tmp_path):
    if request.param == "jsonl":
        path = tmp_path / "train.jsonl"
        path.write_text("".join(f"{json.dumps(pair)}\n" for pair in PAIRS))
        return str(path)
    if request.param == "parquet":
        datasets.Dataset.from_list(PAIRS).to_parquet(tmp_path / "train.parquet")
        return str(tmp_path / "train.parquet")
    ending = ".gz" if request.param.endswith("gz") else ""
    for side, key in (("de", "source"), ("en", "target")):
        data = "".join(f"{pair[key]}\r\n" for pair in PAIRS).encode()
        path = tmp_path / f"train.{side}{ending}"
        path.write_bytes(gzip.compress(data) if ending else data)
    return f"{tmp_path}/train.{{de,en}}{ending}"


def opened(source, window=4, **settings):
    return RowStream(source, DataConfig(window=window, **settings), BOTH, "data.train")


def sources(rows):
    return [int(text.removeprefix("s")) for text in rows.column("source")]


def test_every_row_comes_once_a_pass_in_the_order_of_the_file(source):
    stream = opened(source)
    windows = [stream.window(n) for n in range(7)]
    one_pass = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert [sources(rows) for rows in windows] == [*one_pass, *one_pass, one_pass[0]]
    assert windows[1].column("target")[0] == "t4"
    assert windows[4].where(0).endswith("train.jsonl:5" if source.endswith("jsonl") else ":5")


@pytest.mark.parametrize("first", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("window", [3, 4, 5, 10, 40])
def test_a_window_is_the_same_from_wherever_one_begins(source, first, window):
    whole = opened(source, window)
    expected = [sources(whole.window(n)) for n in range(first + 3)][first:]
    resumed = opened(source, window)
    assert [sources(resumed.window(n)) for n in range(first, first + 3)] == expected


def test_the_limit_ends_a_pass(source):
    stream = opened(source, limit=6)
    assert [sources(stream.window(n)) for n in range(3)] == [[0, 1, 2, 3], [4, 5], [0, 1, 2, 3]]
    assert sources(opened(source, limit=6).window(3)) == [4, 5]


def test_columns_and_empty_rows_are_handled_as_in_files(tmp_path):
    path = tmp_path / "train.jsonl"
    pairs = [{"en": "yes", "de": "ja"}, {"en": "", "de": "nein"}, {"en": "oh", "de": "ach"}]
    path.write_text("".join(json.dumps({"translation": pair}) + "\n" for pair in pairs))
    columns = {"source": "translation.en", "target": "translation.de"}
    rows = opened(str(path), columns=columns, empty="drop").window(0)
    assert list(rows.column("target")) == ["ja", "ach"]
    with pytest.raises(DataError, match=r"its columns are: translation\.en, translation\.de"):
        opened(str(path)).window(0)


def test_names_of_the_hub_reach_the_library_as_streams(monkeypatch):
    asked = []

    def load_dataset(name, config, *, split, streaming):
        asked.append((name, config, split, streaming))
        return datasets.Dataset.from_list(PAIRS).to_iterable_dataset()

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert sources(opened("owner/name:de-en@train").window(1)) == [4, 5, 6, 7]
    opened("owner/name")
    assert asked == [("owner/name", "de-en", "train", True), ("owner/name", None, "train", True)]


def test_what_cannot_be_streamed_is_one_line(tmp_path):
    (tmp_path / "train.csv").write_text("source,target\na,b\n")
    with pytest.raises(ConfigError, match=r"^data\.train: .*train\.csv cannot be streamed — give"):
        opened(str(tmp_path / "train.csv"))
    for name in ("train.jsonl", "train.{a,b}"):
        with pytest.raises(MissingInputError, match="no such file"):
            opened(str(tmp_path / name))
    (tmp_path / "bad.jsonl").write_text("no json\n")
    with pytest.raises(DataError, match=r"bad\.jsonl cannot be (read|streamed) \("):
        opened(str(tmp_path / "bad.jsonl")).window(0)


def test_files_of_lines_that_do_not_end_together_are_told(tmp_path):
    (tmp_path / "t.a").write_text("1\n2\n3\n")
    (tmp_path / "t.b").write_text("1\n2\n")
    with pytest.raises(DataError, match=r"t\.b ends after 2 lines, .*t\.a goes on; they must"):
        opened(f"{tmp_path}/t.{{a,b}}").window(0)
    (tmp_path / "t.b").write_bytes(b"1\n2\n\xff\n")
    with pytest.raises(DataError, match=r"t\.b, soon after line .*: not utf-8 \("):
        opened(f"{tmp_path}/t.{{a,b}}").window(0)
    for name in ("t.a", "t.b"):
        (tmp_path / name).write_text("")
    with pytest.raises(DataError, match="holds no rows"):
        opened(f"{tmp_path}/t.{{a,b}}").window(0)


def write_pairs(folder, texts):
    (folder / "t.a").write_text("".join(f"{text}\n" for text in texts))
    (folder / "t.b").write_text("".join("x\n" for _ in texts))
    return f"{folder}/t.{{a,b}}"


@pytest.mark.parametrize("start", range(7))
def test_a_window_whose_rows_are_all_dropped_is_empty_and_ends_nothing(tmp_path, start):
    source = write_pairs(tmp_path, ["", "", "s2", "", ""])
    stream = opened(source, window=2, empty="drop")
    found = [sources(stream.window(n)) for n in range(start, start + 4)]
    assert found == ([[], [2], []] * 4)[start : start + 4]
    assert opened(source, window=2, empty="drop").first()[0] == 1


@pytest.mark.parametrize("count", [1, 4, 5])
def test_a_pass_without_rows_is_refused(tmp_path, count):
    stream = opened(write_pairs(tmp_path, [""] * count), window=2, empty="drop")
    with pytest.raises(DataError, match=r"t\.\{a,b\} holds no rows"):
        stream.first()


def test_the_encoding_is_that_of_the_recipe_or_refused(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text('{"source": "déjà", "target": "x"}\n', encoding="cp1252")
    rows = opened(str(path), encoding="cp1252").window(0)
    assert list(rows.column("source")) == ["déjà"]
    with pytest.raises(DataError, match=r"cannot be (read|streamed)"):
        opened(str(path)).window(0)
    with pytest.raises(ConfigError, match=r"^data\.encoding: .* cannot be streamed in utf-16"):
        opened(str(path), encoding="utf-16")


def test_a_change_anywhere_in_the_files_is_seen(source, tmp_path):
    before = opened(source).identity()
    assert before == opened(source).identity()
    path = sorted(tmp_path.glob("train*"))[-1]
    changed = path.stat().st_mtime_ns + 1000
    os.utime(path, ns=(changed, changed))
    assert opened(source).identity() != before


def test_the_state_of_a_data_set_is_its_revision(monkeypatch):
    class Hub:
        sha = "c0ffee"

        def dataset_info(self, name):
            assert name == "owner/name"
            return self

    monkeypatch.setattr(
        datasets,
        "load_dataset",
        lambda *_, **__: datasets.Dataset.from_list(PAIRS).to_iterable_dataset(),
    )
    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    assert opened("owner/name:de-en@train").identity() == "c0ffee"
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: None)  # nothing that answers
    assert opened("owner/name").identity() == ""


def test_windows_in_order_are_read_without_skipping(monkeypatch):
    begun = []

    def records(skip):
        begun.append(skip)
        return iter(PAIRS[skip:])

    monkeypatch.setattr(streams, "_open", lambda *_: (records, str))
    stream = opened("anything", window=5)
    for n in range(4):
        stream.window(n)
    stream.window(4)
    assert begun[:3] == [0, 0, 0]  # windows 0, 2 and 4, each the first of a pass
    opened("anything", window=5).window(1)
    assert 5 in begun  # a run that is resumed skips to its window
