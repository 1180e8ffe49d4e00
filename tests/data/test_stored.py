"""Sequences and columns on the disk: equal to those in memory, and next to nothing of them held."""

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowkey.data.flat import FlatSequences
from lowkey.data.stored import ColumnStore, SequenceStore, StoredColumn
from lowkey.files import Scratch

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=30)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return Scratch(tmp_path_factory.mktemp("scratch"), "tests", "mend them")


def cut(values, size):
    return [values[start : start + size] for start in range(0, len(values), size)]


def stored_column(scratch, values, size=7):
    store = ColumnStore(scratch, str, str)
    for part in cut(values, size):
        store.append(part)
    return store.stored()


@given(sequences=st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=5)), size=st.integers(1, 9))
def test_sequences_are_those_that_were_added(scratch, sequences, size):
    store, whole = SequenceStore(scratch, np.int32), FlatSequences.of(sequences)
    for part in cut(sequences, size):
        store.append(FlatSequences.of(part))
    stored = store.stored()
    for name in ("values", "lengths", "starts"):
        found, wanted = getattr(stored, name), getattr(whole, name)
        assert (found.dtype, found.tolist()) == (wanted.dtype, wanted.tolist())
    index = np.random.default_rng(len(sequences)).permutation(len(sequences))
    assert stored.take(index).values.tolist() == whole.take(index).values.tolist()


@given(texts=TEXTS, size=st.integers(1, 9), chosen=st.lists(st.integers(0, 10_000)))
def test_a_column_reads_like_a_list(scratch, texts, size, chosen):
    column = stored_column(scratch, texts, size)
    assert len(column) == len(texts)
    assert list(column) == texts
    assert column[2:9] == texts[2:9]
    assert column[::-2] == texts[::-2]
    assert [column[i] for i in range(-len(texts), len(texts))] == [*texts, *texts]
    with pytest.raises(IndexError):
        column[len(texts)]
    index = np.array([i % len(texts) for i in chosen] if texts else [], dtype=np.int64)
    taken = column.take(index)
    assert list(taken) == [texts[i] for i in index]
    again = np.arange(len(taken))[::2]
    assert list(taken.take(again)) == [texts[i] for i in index[::2]]


def test_other_values_are_written_as_texts(scratch):
    values = [[], ["a", "ä"], [""]]
    store = ColumnStore(scratch, json.dumps, json.loads)
    store.append(values)
    assert list(store.stored()) == values


def held(make, count):
    """Bytes of Python and NumPy that are held by what ``make`` gives."""
    tracemalloc.start()
    try:
        kept = make(count)
        return tracemalloc.get_traced_memory()[0] + 0 * len(kept)
    finally:
        tracemalloc.stop()


def test_what_is_held_does_not_grow_with_the_rows(scratch):
    def numbered(count):
        return (f"text number {i} of many" for i in range(count))

    def on_disk(count) -> StoredColumn:
        store = ColumnStore(scratch, str, str)
        texts = numbered(count)
        for _ in range(0, count, 100):
            store.append([next(texts) for _ in range(100)])
        return store.stored()

    on_disk(100)  # whatever is made once and kept
    growth = held(on_disk, 20_000) - held(on_disk, 2000)
    assert growth < 18_000  # less than a byte a row
    in_memory = held(lambda count: list(numbered(count)), 20_000)
    assert in_memory > 50 * 20_000
