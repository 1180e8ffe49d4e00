"""Lists of labels: which there are, their ids, and the ways such a column is wrong."""

import json

import numpy as np
import pyarrow.parquet
import pytest
from sklearn.preprocessing import MultiLabelBinarizer

from lowkey.data.config import DataConfig
from lowkey.data.label_lists import holds_lists, refuse_lists
from lowkey.data.label_sets import LabelSets, label_set_map
from lowkey.data.labels import LabelMap, detect_task, label_numbers
from lowkey.data.rows import select_rows
from lowkey.data.sources import read_rows
from lowkey.data.table import table_of_records
from lowkey.errors import DataError


def rows_of(labels, place="train.jsonl", column="label"):
    records = [{"text": f"text {i}", column: label} for i, label in enumerate(labels)]
    table = table_of_records(place, records, range(1, len(records) + 1))
    return select_rows(table, DataConfig(), ("text", "label"))


def test_the_table_is_that_of_scikit_learn():
    chance = np.random.default_rng(0)
    sets = [list("cab"[:k]) for k in chance.integers(0, 4, size=30)]
    labels = label_set_map(rows_of(sets))
    theirs = MultiLabelBinarizer()
    found = LabelSets.from_rows(rows_of(sets), labels)
    assert found.table.tolist() == theirs.fit_transform(sets).astype(bool).tolist()
    assert labels.names == tuple(theirs.classes_)
    assert found.counts.tolist() == found.table.sum(0).tolist()
    assert found[[7, 2]].tolist() == found.table[[7, 2]].astype(float).tolist()
    assert len(found) == 30


def test_lists_are_recognised_under_either_name():
    for column in ("label", "labels"):
        rows = rows_of([["a"], [], ["a", "b"]], column=column)
        assert holds_lists(rows)
        choice = detect_task(rows)
        assert choice == ("multilabel", "each row has a list of labels, 2 different ones")
        assert rows.source_names["label"] == column
    assert detect_task(rows_of(["a", "b"])).task == "classify"
    # A column "labels" of single labels is not taken without being asked for.
    with pytest.raises(DataError, match=r"set data\.columns: {label: labels}"):
        rows_of(["a", "b"], column="labels")


def test_numbers_and_repeated_labels_are_sets_of_names():
    labels = label_set_map(rows_of([[10, 2], [2], []]))
    assert labels.names == ("2", "10")
    sets = LabelSets.from_rows(rows_of([["2", 2, " 10 "]]), labels)
    assert sets.ids.values.tolist() == [0, 1]
    assert label_set_map(rows_of([["a"], ["b"]]), ["b", "a", "c"]).names == ("b", "a", "c")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[], []], "none of the 2 rows of train.jsonl has a label — check data.columns"),
        ([["b", "a"]] * 3, 'all 3 rows of train.jsonl have the same labels, "a, b" — check'),
        ([["a"], []], '"a" is the one label in train.jsonl — give each row one of two labels'),
        (
            [[f"tag {i}", f"other {i}"] for i in range(3000)],
            'train.jsonl: column "label" has 6000 different labels in 3000 rows; most of them'
            " cannot be learned — list those to learn in data.labels",
        ),
        (["a", "b"], 'train.jsonl:1: "label" is "a", where a list of labels is needed — write ['),
    ],
)
def test_labels_that_cannot_be_learned_are_told_in_one_line(labels, message):
    with pytest.raises(DataError) as caught:
        label_set_map(rows_of(labels))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_tables_of_text_hold_no_lists():
    with pytest.raises(DataError, match=r"train\.csv:1: .* — CSV and TSV hold no lists: give .jso"):
        label_set_map(rows_of(["a|b", "b"], place="train.csv"))


def test_a_label_unseen_in_training_is_named_with_its_place():
    labels = LabelMap(["insult", "threat"])
    with pytest.raises(DataError) as caught:
        LabelSets.from_rows(rows_of([["threat"], ["insult", "treat"]], place="dev.jsonl"), labels)
    assert str(caught.value) == (
        'label "treat" (dev.jsonl:2) is not among the labels insult, threat'
        ' — did you mean "threat"?'
    )


def test_lists_are_refused_where_one_label_is_needed():
    rows = rows_of([["a"], ["b"]])
    for use in (refuse_lists, LabelMap.from_rows, LabelMap(["a", "b"]).ids, label_numbers):
        with pytest.raises(DataError) as caught:
            use(rows)
        assert str(caught.value) == (
            'train.jsonl:1: "label" is a list, ["a"], where one label is needed'
            " — task: multilabel learns lists of labels"
        )


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([["a"], "b"], 'train.jsonl:2: "label" is "b", but ["a"] above — write a list of labels'),
        (["a", "b", []], 'train.jsonl:3: "label" is [], but "a" above'),
        ([["a"], ["b", ""]], 'train.jsonl:2: "label" must be a text, a number or a list of such'),
        ([["a"], None], '1 row has an empty "label" (first: train.jsonl:2)'),
    ],
)
def test_rows_of_two_kinds_are_refused(labels, message):
    with pytest.raises(DataError) as caught:
        rows_of(labels)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("ending", ["jsonl", "json", "parquet"])
def test_lists_come_out_of_every_format_that_holds_them(ending, tmp_path):
    records = [{"text": "a", "labels": ["x", "y"]}, {"text": "b", "labels": []}]
    path = tmp_path / f"rows.{ending}"
    if ending == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), path)
    elif ending == "json":
        path.write_text(json.dumps(records))
    else:
        path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    rows = read_rows(str(path), DataConfig(), ("text", "label"), key="data.train")
    assert rows.column("label") == [["x", "y"], []]
    assert LabelSets.from_rows(rows, LabelMap(["x", "y"])).table.tolist() == [
        [True] * 2,
        [False] * 2,
    ]
