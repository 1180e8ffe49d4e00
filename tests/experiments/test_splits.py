import numpy as np
import pytest
import tiny_tasks

from lowkey.data.config import DataConfig
from lowkey.data.sources import read_rows
from lowkey.errors import DataError, MissingInputError
from lowkey.experiments.splits import (
    draw_rows,
    hold_out,
    plan_epoch,
    read_splits,
    spread,
    take_rows,
)
from lowkey.training.config import TrainConfig

COLUMNS = ("text", "label")


def numbered(count, name="rows.jsonl"):
    lines = [{"text": f"row {i}", "label": "ab"[i % 2]} for i in range(count)]
    tiny_tasks.write_jsonl(tiny_tasks.Path(name), lines)
    return read_rows(name, DataConfig(), COLUMNS, key="data.train")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_one_row_in_ten_is_held_out_by_chance_and_always_the_same():
    rows = numbered(100)
    train, held = hold_out(rows, seed=1)
    texts = list(train.column("text")), list(held.column("text"))
    assert (len(train), len(held)) == (90, 10)
    assert sorted(texts[0] + texts[1]) == sorted(rows.column("text"))
    for part in texts:  # in the order of the file
        numbers = [int(text.split()[1]) for text in part]
        assert numbers == sorted(numbers)
    again = hold_out(rows, seed=1)
    assert (list(again[0].column("text")), list(again[1].column("text"))) == texts
    assert list(hold_out(rows, seed=2)[1].column("text")) != texts[1]
    assert texts[1] != [f"row {i}" for i in range(90, 100)]
    number = texts[1][0].split()[1]
    assert held.where(0) == f"rows.jsonl:{int(number) + 1}"


def test_the_fewest_rows_that_can_be_split():
    assert [len(part) for part in hold_out(numbered(2), seed=0)] == [1, 1]
    with pytest.raises(DataError, match=r"rows\.jsonl holds one row; training needs more"):
        hold_out(numbered(1), seed=0)


def test_fewer_rows_are_a_part_of_more_and_no_seed_changes_them():
    rows = numbered(100)
    few, more = (list(draw_rows(rows, count).column("text")) for count in (10, 40))
    assert (len(few), len(more)) == (10, 40)
    assert set(few) < set(more)
    assert few != [f"row {i}" for i in range(10)]
    for part in (few, more):  # in the order of the file
        numbers = [int(text.split()[1]) for text in part]
        assert numbers == sorted(numbers)
    assert len(draw_rows(rows, 100)) == 100
    with pytest.raises(DataError, match=r"data\.train_rows is 101, but there are 100 rows"):
        draw_rows(rows, 101)


def test_only_the_rows_to_learn_from_are_drawn():
    for name, count in (("a", 50), ("b", 30), ("c", 20)):
        numbered(count, f"{name}.jsonl")
    data = DataConfig(train="a.jsonl", validation="b.jsonl", test="c.jsonl", train_rows=7)
    parts = [read_splits(data, COLUMNS, seed, lambda line: None) for seed in (0, 1)]
    sizes = [len(s) for s in (parts[0].given, parts[0].train, parts[0].validation, parts[0].test)]
    assert sizes == [50, 7, 30, 20]
    assert parts[0].train.column("text") == parts[1].train.column("text")
    # What is held out is held out of all rows, before some are drawn of the rest.
    held = read_splits(DataConfig(train="a.jsonl", train_rows=7), COLUMNS, 0, lambda line: None)
    assert (len(held.train), len(held.validation)) == (7, 5)
    assert not set(held.train.column("text")) & set(held.validation.column("text"))


def test_splits_that_are_named_are_read_and_nothing_is_said():
    for name, count in (("a", 6), ("b", 3), ("c", 2)):
        numbered(count, f"{name}.jsonl")
    said = []
    data = DataConfig(train="a.jsonl", validation="b.jsonl", test="c.jsonl")
    splits = read_splits(data, COLUMNS, 0, said.append)
    assert [len(s) for s in (splits.given, splits.train, splits.validation)] == [6, 6, 3]
    assert splits.scored[0] == "test"
    assert len(splits.scored[1]) == 2
    assert said == []


def test_rows_that_are_held_out_are_told():
    numbered(20, "a.jsonl")
    said = []
    splits = read_splits(DataConfig(train="a.jsonl"), COLUMNS, 0, said.append)
    assert [len(s) for s in (splits.given, splits.train, splits.validation)] == [20, 18, 2]
    assert splits.scored[0] == "validation"
    assert said == [
        "no data.validation: 2 of the training rows are held out to choose the best step"
    ]


def test_a_split_that_is_not_there_is_named_by_its_key():
    numbered(4, "a.jsonl")
    data = DataConfig(train="a.jsonl", validation="a.jsonl", test="c.jsonl")
    with pytest.raises(MissingInputError, match=r"data\.test: no such file c\.jsonl"):
        read_splits(data, COLUMNS, 0, print)


def test_rows_are_taken_in_the_order_asked_for():
    taken = take_rows(numbered(5), np.array([4, 0]))
    assert list(taken.column("text")) == ["row 4", "row 0"]
    assert taken.where(0) == "rows.jsonl:5"


def test_a_spread_reaches_from_the_first_row_to_the_last():
    rows = numbered(50)
    chosen = [int(text.split()[1]) for text in spread(rows, 6).column("text")]
    assert chosen == [0, 9, 19, 29, 39, 49]
    assert list(spread(rows, 99).column("text")) == list(rows.column("text"))
    assert list(spread(rows, 1).column("text")) == ["row 0"]


def test_an_epoch_is_planned_by_examples_or_by_tokens():
    lengths = np.arange(1, 41)
    by_size = plan_epoch(lengths, TrainConfig(per_device_train_batch_size=8), 0)
    assert [len(batch) for batch in by_size] == [8] * 5
    by_tokens = plan_epoch(lengths, TrainConfig(batch_tokens=60), 0)
    assert all(lengths[batch].sum() <= 60 for batch in by_tokens)
    for plan in (by_size, by_tokens):
        assert sorted(i for batch in plan for i in batch) == list(range(40))
    config = TrainConfig(per_device_train_batch_size=8)
    assert plan_epoch(lengths, config, 0) == by_size
    assert plan_epoch(lengths, config, 1) != by_size
