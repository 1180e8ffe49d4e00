"""Sequences end to end, against plain lists."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lowkey.data.flat import FlatSequences

sequences = st.lists(st.lists(st.integers(0, 99), max_size=5), max_size=8)


def as_lists(flat):
    return [part.tolist() for part in np.split(flat.values, np.cumsum(flat.lengths))[:-1]]


@given(sequences)
def test_what_goes_in_comes_out(lists):
    flat = FlatSequences.of(lists)
    assert as_lists(flat) == lists
    assert len(flat) == len(lists)


@given(sequences.filter(bool), st.data())
def test_take_is_indexing(lists, data):
    index = data.draw(st.lists(st.integers(0, len(lists) - 1), max_size=12))
    assert as_lists(FlatSequences.of(lists).take(index)) == [lists[i] for i in index]


@given(sequences, st.integers(0, 6))
def test_ends_and_cuts_are_those_of_lists(lists, limit):
    flat = FlatSequences.of(lists)
    assert as_lists(flat.with_begin(7)) == [[7, *items] for items in lists]
    assert as_lists(flat.with_end(7)) == [[*items, 7] for items in lists]
    assert as_lists(flat.cut(limit)) == [items[:limit] for items in lists]
