"""Pairs on the disk: token for token those in memory, and the same complaints."""

import tracemalloc

import pytest
import tiny_tasks

from lowkey.data import stored_pairs
from lowkey.data.config import DataConfig
from lowkey.data.pairs import PairExamples
from lowkey.data.rows import select_rows
from lowkey.data.stored_pairs import store_pairs
from lowkey.data.stored_rows import store_rows
from lowkey.data.table import table_of_records
from lowkey.data.tokenizer_training import train_tokenizer
from lowkey.errors import DataError
from lowkey.files import Scratch

PARTS = ("sources", "target_inputs", "target_labels")


@pytest.fixture
def scratch(tmp_path):
    return Scratch(tmp_path, "tests", "mend them")


def some_rows(count):
    records = tiny_tasks.reversed_pairs(count, seed=1)
    table = table_of_records("t.jsonl", records, range(1, count + 1))
    return select_rows(table, DataConfig(), ("source", "target"))


ROWS = some_rows(50)
SOURCE = train_tokenizer(ROWS.column("source"), kind="bpe", vocab_size=20)
TARGET = train_tokenizer(ROWS.column("target"), kind="whitespace", vocab_size=20)


@pytest.mark.parametrize("portion", [1, 7, 50, 1000])
@pytest.mark.parametrize("max_length", [None, 4, 30])
def test_they_equal_the_pairs_in_memory(scratch, monkeypatch, portion, max_length):
    monkeypatch.setattr(stored_pairs, "PORTION", portion)
    options = {"max_length": max_length, "truncate": max_length == 4}
    held = PairExamples.from_rows(ROWS, SOURCE, TARGET, **options)
    stored = store_pairs(ROWS, SOURCE, TARGET, scratch, **options)
    assert (len(stored), stored.num_truncated) == (len(held), held.num_truncated)
    assert (max_length == 4) is (stored.num_truncated > 0)
    for name in PARTS:
        for part in ("values", "lengths", "starts"):
            found, wanted = (getattr(getattr(p, name), part) for p in (stored, held))
            assert (found.dtype, found.tolist()) == (wanted.dtype, wanted.tolist())
    ids = [4, 40, 4, 0]
    batches = [pairs.batch(ids) for pairs in (stored, held)]
    for name in ("source_ids", "target_input_ids", "target_labels"):
        assert getattr(batches[0], name).tolist() == getattr(batches[1], name).tolist()


def test_texts_that_are_too_long_are_told_of_all_portions(scratch, monkeypatch):
    monkeypatch.setattr(stored_pairs, "PORTION", 7)
    errors = []
    for make in (PairExamples.from_rows, store_pairs):
        where = [scratch] if make is store_pairs else []
        with pytest.raises(DataError) as caught:
            make(ROWS, SOURCE, TARGET, *where, max_length=4, limit="data.max_length")
        errors.append(str(caught.value))
    assert errors[0] == errors[1]
    assert "raise it to" in errors[0]


def test_what_is_held_does_not_grow_with_the_pairs(scratch, monkeypatch):
    monkeypatch.setattr(stored_pairs, "PORTION", 100)

    def held(rows, make):
        tracemalloc.start()
        try:
            pairs = make(rows)
            return tracemalloc.get_traced_memory()[0] + 0 * len(pairs)
        finally:
            tracemalloc.stop()

    def in_memory(rows):
        return PairExamples.from_rows(rows, SOURCE, TARGET)

    def on_disk(rows):
        return store_pairs(rows, SOURCE, TARGET, scratch)

    few, many = (store_rows("t", [some_rows(count)], scratch) for count in (500, 15_500))
    on_disk(few)  # whatever is made once and kept
    assert held(many, on_disk) - held(few, on_disk) < 3 * 15_000  # three bytes a pair at most
    assert held(many, in_memory) - held(few, in_memory) > 50 * 15_000
