"""Columns under their standard names, and every value checked."""

import hashlib
import json

import pytest

from lowkey.data import rows as room
from lowkey.data.config import DataConfig
from lowkey.data.rows import select_rows
from lowkey.data.table import Table, table_of_records
from lowkey.errors import DataError

SENTENCES = [{"sentence": "good", "label": "1"}, {"sentence": "bad", "label": "0"}]


def select(records, required=("text", "label"), **settings):
    table = table_of_records("train.csv", records, range(2, len(records) + 2))
    return select_rows(table, DataConfig(**settings), required)


def message(records, required=("text", "label"), **settings):
    with pytest.raises(DataError) as caught:
        select(records, required, **settings)
    return str(caught.value)


def test_mapped_columns_come_under_our_names_and_others_stay_out():
    records = [{"id": 7, **row} for row in SENTENCES]
    rows = select(records, columns={"text": "sentence"})
    assert list(rows) == [{"text": "good", "label": "1"}, {"text": "bad", "label": "0"}]
    assert rows.columns == ("text", "label")
    assert rows.file_columns == ("id", "sentence", "label")
    assert rows[-1] == rows[1:][0] == {"text": "bad", "label": "0"}
    assert rows.where(1) == "train.csv:3"


def test_a_mapping_wins_over_a_column_of_our_name():
    rows = select([{"text": "a", "body": "b", "label": 1}], columns={"text": "body"})
    assert rows.column("text") == ["b"]


def test_companions_come_along_where_there_are_any():
    assert select([{"text": "a", "text_pair": "b", "label": 1}]).columns == (
        "text",
        "label",
        "text_pair",
    )
    rows = select(
        [{"source": "a", "target": "b"}, {"source": "c", "target": "d", "alternatives": ["e"]}],
        required=("source", "target"),
    )
    assert rows.column("alternatives") == [[], ["e"]]


def test_a_row_of_a_format_without_lines_is_named_by_its_number():
    values = {"text": ["a", "b"], "label": [0, 1]}
    table = Table("x.parquet", tuple(values), lambda name: values[name], 2)
    assert select_rows(table, DataConfig(), ("text",)).where(1) == "x.parquet row 2"


@pytest.mark.parametrize(
    ("records", "settings", "expected"),
    [
        (
            SENTENCES,
            {},
            'train.csv has no column "text"; its columns are: sentence, label'
            " — set data.columns: {text: sentence}",
        ),
        (
            SENTENCES,
            {"columns": {"text": "sentense"}},
            'train.csv has no column "sentense" (data.columns maps text to it);'
            " its columns are: sentence, label — set data.columns: {text: sentence}",
        ),
        (
            [{"words": "a", "mark": 1, "other": 2}],
            {},
            'train.csv has no column "text"; its columns are: words, mark, other'
            " — name it with data.columns: {text: ...}",
        ),
        (
            [{"text": "a", "label": 1}, {"text": " ", "label": 1}, {"label": 0}],
            {},
            '2 rows have an empty "text" (first: train.csv:3)'
            " — delete them or set data.empty: drop",
        ),
        (
            [{"text": "a", "label": ""}],
            {},
            '1 row has an empty "label" (first: train.csv:2) — delete them or set data.empty: drop',
        ),
        ([{"text": 7, "label": 1}], {}, 'train.csv:2: "text" must be a text, got 7'),
        ([{"text": "\ud800", "label": 1}], {}, 'train.csv:2: "text" must be a text, got "'),
        ([{"text": "a", "label": [[1]]}], {}, 'train.csv:2: "label" must be a text, a number or'),
        ([{"text": "a", "label": float("nan")}], {}, 'train.csv:2: "label" must be a text, '),
        ([{"text": "", "label": 1}], {"empty": "drop"}, "train.csv holds no rows"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(records, settings, expected):
    assert message(records, **settings).startswith(expected)


def test_alternatives_must_be_texts():
    records = [{"source": "a", "target": "b", "alternatives": [1]}]
    assert message(records, ("source", "target")).startswith(
        'train.csv:2: "alternatives" must be a list of texts'
    )


def test_empty_rows_are_dropped_and_counted_if_asked():
    records = [{"text": "", "label": 1}, {"text": "b", "label": 0}, {"text": "c", "label": None}]
    rows = select(records, empty="drop")
    assert list(rows) == [{"text": "b", "label": 0}]
    assert rows.num_dropped == 2
    assert rows.where(0) == "train.csv:3"


def test_texts_that_look_like_missing_values_are_texts():
    rows = select([{"text": text, "label": "NA"} for text in ("NA", "null", "None", "nan")])
    assert rows.column("text") == ["NA", "null", "None", "nan"]


def test_the_limit_takes_the_first_rows():
    assert select(SENTENCES, columns={"text": "sentence"}, limit=1).column("text") == ["good"]


def test_the_hash_tells_contents_apart_and_nothing_else():
    one = select([{"text": "a", "label": 1, "id": 1}])
    same = select([{"label": 1, "id": 2, "text": "a"}])
    turned = select([{"text": "a", "label": 1}], required=("label", "text"))
    other = select([{"text": "a", "label": 2}])
    assert one.sha256 == same.sha256 == turned.sha256 != other.sha256


@pytest.mark.parametrize("at_once", [1, 2, 5, 100])
def test_the_hash_is_that_of_the_whole_content_however_it_is_read(at_once, monkeypatch):
    monkeypatch.setattr(room, "_HASHED_AT_ONCE", at_once)
    records = [{"source": f"ä {i}", "target": 'a "b"', "alternatives": ["c"]} for i in range(5)]
    rows = select(records, required=("source", "target"))
    content = json.dumps({name: list(rows.column(name)) for name in sorted(rows.columns)})
    assert rows.sha256 == hashlib.sha256(content.encode()).hexdigest()
