"""Which task, which classes, which numbers; and the three ways a label column is wrong."""

import numpy as np
import pytest

from lowkey.data.config import DataConfig
from lowkey.data.labels import LabelMap, detect_task, label_numbers
from lowkey.data.rows import select_rows
from lowkey.data.table import table_of_records
from lowkey.errors import DataError


def rows_of(labels, place="train.csv", column="label", **columns):
    records = [
        {"text": f"text {i}", column: label, **{name: f"{name} {i}" for name in columns}}
        for i, label in enumerate(labels)
    ]
    table = table_of_records(place, records, range(2, len(records) + 2))
    return select_rows(table, DataConfig(columns={"label": column}), ("text", "label"))


@pytest.mark.parametrize(
    ("labels", "task"),
    [
        (["pos", "neg"], "classify"),
        ([0, 1, 1], "classify"),
        (["0", "1"], "classify"),
        ([True, False], "classify"),
        ([0.5, 1.0], "regress"),
        (["0.5", "1"], "regress"),
        (["-1e-3", "2"], "regress"),
        (["01", "02"], "classify"),
        (["nan", "1.5"], "classify"),
        (list(range(21)) * 3, "regress"),
        (list(range(20)) * 3, "classify"),
        (list(range(77)) * 100, "classify"),
    ],
)
def test_the_task_follows_from_the_labels(labels, task):
    choice = detect_task(rows_of(labels))
    assert choice.task == task
    assert choice.reason
    assert "\n" not in choice.reason


def test_a_second_text_makes_pairs_unless_the_labels_are_decimal():
    assert detect_task(rows_of(["a", "b"], text_pair=True)).task == "pair"
    assert detect_task(rows_of([0.5, 1.5], text_pair=True)).task == "regress"


def test_integers_keep_their_natural_order_and_names_are_sorted():
    assert LabelMap.from_rows(rows_of([10, 2, 1, -1])).names == ("-1", "1", "2", "10")
    assert LabelMap.from_rows(rows_of(["b", "B", "a"])).names == ("B", "a", "b")
    assert LabelMap.from_rows(rows_of(["10", "2"])).names == ("2", "10")
    assert LabelMap.from_rows(rows_of(["10", "02"])).names == ("02", "10")
    assert LabelMap.from_rows(rows_of([True, False])).names == ("false", "true")


def test_the_order_may_be_told_and_csv_and_json_agree():
    labels = LabelMap.from_rows(rows_of([1, 0]), [1, 0])
    assert labels.ids(rows_of(["0", " 1 ", 1])).tolist() == [1, 0, 0]


def test_a_label_unseen_in_training_is_named_with_its_place_and_its_neighbour():
    labels = LabelMap.from_rows(rows_of(["negative", "neutral", "positive"]))
    with pytest.raises(DataError) as caught:
        labels.ids(rows_of(["positive", "postive"], place="dev.csv"))
    assert str(caught.value) == (
        'label "postive" (dev.csv:3) is not among the labels negative, neutral, positive'
        ' — did you mean "positive"?'
    )


def test_one_label_for_all_rows_is_an_error_that_shows_the_other_columns():
    with pytest.raises(DataError) as caught:
        LabelMap.from_rows(rows_of(["0"] * 25, column="split", sentiment=True))
    assert str(caught.value) == (
        'all 25 rows of train.csv have the label "0"'
        " — check data.columns: {label: split} (other columns: text, sentiment)"
    )


def test_free_text_as_label_is_an_error_that_names_the_likely_column():
    rows = rows_of([f"review {i}" for i in range(50)], column="review", id=True, sentiment=True)
    with pytest.raises(DataError) as caught:
        LabelMap.from_rows(rows)
    assert str(caught.value) == (
        'train.csv: column "review" has 50 different values in 50 rows; that is text, not a label'
        " — set data.columns: {label: sentiment} if that is the column of classes"
    )
    # A few examples with a class each are no mistake.
    assert len(LabelMap.from_rows(rows_of([f"class {i}" for i in range(20)]))) == 20


def test_numbers_are_read_for_regression():
    numbers = label_numbers(rows_of(["-0.5", 1, "2e1", " 3. "]))
    assert numbers.dtype == np.float32
    assert numbers.tolist() == [-0.5, 1.0, 20.0, 3.0]


@pytest.mark.parametrize("label", ["good", "nan", "1e999", "1_000", "0x1", 10**400, "1,5"])
def test_what_is_no_number_is_named(label):
    with pytest.raises(DataError, match=r"train\.csv:3: label .* is not a number"):
        label_numbers(rows_of(["1.5", label]))
