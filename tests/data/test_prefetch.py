"""Made ahead or not, a batch is the same."""

import threading

import pytest

from lowkey.data.prefetch import Prefetch

PLAN = [[1, 2], [5], [3, 4]]


def test_the_next_batch_is_made_in_the_background():
    made, threads = [], set()

    def make(ids):
        made.append(list(ids))
        threads.add(threading.current_thread() is threading.main_thread())
        return sum(ids)

    ahead = Prefetch(make)
    ahead.follow(PLAN)
    assert [ahead.get(ids) for ids in PLAN] == [3, 5, 7]
    assert made == PLAN  # each once
    assert threads == {True, False}


def test_a_batch_that_was_not_foreseen_is_made_all_the_same():
    ahead = Prefetch(sum)
    ahead.follow(PLAN)
    assert [ahead.get(ids) for ids in ([1, 2], [3, 4], [9], [5], [5, 1])] == [3, 7, 9, 5, 6]


def test_what_goes_wrong_in_the_background_is_raised_where_it_is_needed():
    def make(ids):
        if ids == [5]:
            raise ValueError("five")
        return ids

    ahead = Prefetch(make)
    ahead.follow(PLAN)
    ahead.get([1, 2])
    with pytest.raises(ValueError, match="five"):
        ahead.get([5])
    assert ahead.get([3, 4]) == [3, 4]
