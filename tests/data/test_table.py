"""Tables of records, objects inside objects included."""

import pytest

from lowkey.data.config import DataConfig
from lowkey.data.rows import select_rows
from lowkey.data.table import table_of_records
from lowkey.errors import DataError

RECORDS = [
    {"id": 1, "translation": {"en": "yes", "de": "ja"}},
    {"id": 2, "translation": {"en": "no", "de": "nein"}},
]


def table(records=RECORDS):
    return table_of_records("a.jsonl", records, range(1, len(records) + 1))


def select(records=RECORDS, **columns):
    return select_rows(table(records), DataConfig(columns=columns), ("source", "target"))


def test_values_inside_objects_have_names_with_dots():
    assert table().names == ("id", "translation.en", "translation.de")
    rows = select(source="translation.en", target="translation.de")
    assert list(rows) == [{"source": "yes", "target": "ja"}, {"source": "no", "target": "nein"}]


def test_objects_may_be_deep_missing_and_beside_other_values():
    records = [{"a": {"b": {"c": 1}}}, {"a": {"b": None}}, {"a": "x"}, {}]
    made = table(records)
    assert made.names == ("a.b.c", "a.b", "a")
    assert made.column("a.b.c") == [1, None, None, None]
    assert made.column("a")[2] == "x"


def test_a_key_with_a_dot_is_found_first():
    assert table([{"a.b": 1, "a": {"b": 2}}]).column("a.b") == [1]
    assert table([{"a.b": {"c": 3}}]).column("a.b.c") == [3]


def test_a_missing_side_is_reported_where_it_is():
    with pytest.raises(
        DataError, match=r'^1 row has an empty "translation\.de" \(first: a\.jsonl:2'
    ):
        select(
            [RECORDS[0], {"translation": {"en": "no"}}],
            source="translation.en",
            target="translation.de",
        )


def test_a_wrong_column_lists_the_nested_ones():
    with pytest.raises(DataError) as caught:
        select()
    assert str(caught.value) == (
        'a.jsonl has no column "source"; its columns are: id, translation.en, translation.de — name'
        " both sides, such as data.columns: {source: translation.en, target: translation.de}"
    )
    with pytest.raises(DataError, match=r"\{target: translation\.de\}$"):
        select(source="translation.en", target="translation.dr")
