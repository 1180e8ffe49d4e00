"""Batch plans: properties over random lengths, and the greedy cut by hand."""

import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowkey.data.batching import plan_batches, plan_evaluation_batches

some_lengths = st.lists(st.integers(1, 40), max_size=200)


def greedy(order, lengths, limit):
    """The same cut, one example at a time."""
    batches, current, total = [], [], 0
    for i in order:
        if current and total + lengths[i] > limit:
            batches.append(current)
            current, total = [], 0
        current, total = [*current, i], total + lengths[i]
    return [*batches, current] if current else batches


@given(some_lengths, st.integers(1, 60), st.integers(0, 5), st.integers(0, 3))
def test_every_example_comes_once_and_the_budget_holds(lengths, budget, seed, epoch):
    batches = plan_batches(lengths, seed=seed, epoch=epoch, batch_tokens=budget)
    assert Counter(i for batch in batches for i in batch) == Counter(range(len(lengths)))
    for batch in batches:
        assert sum(lengths[i] for i in batch) <= budget or len(batch) == 1
    assert batches == plan_batches(lengths, seed=seed, epoch=epoch, batch_tokens=budget)


@given(some_lengths, st.integers(1, 30))
def test_a_fixed_size_holds_for_all_batches_but_one(lengths, size):
    batches = plan_batches(lengths, seed=0, epoch=0, batch_size=size)
    assert Counter(i for batch in batches for i in batch) == Counter(range(len(lengths)))
    sizes = sorted((len(batch) for batch in batches), reverse=True)
    assert sizes[:-1] == [size] * (len(sizes) - 1)


@given(some_lengths, st.integers(1, 60))
def test_the_evaluation_plan_is_the_greedy_cut_of_the_sorted_examples(lengths, budget):
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    assert plan_evaluation_batches(lengths, budget) == greedy(order, lengths, budget)


def test_seed_and_epoch_change_the_order():
    lengths = list(range(1, 300))
    plans = [
        plan_batches(lengths, seed=seed, epoch=epoch, batch_tokens=900)
        for seed, epoch in [(1, 0), (1, 1), (2, 0)]
    ]
    assert plans[0] != plans[1]
    assert plans[0] != plans[2]
    assert {frozenset(batch) for batch in plans[0]} != {frozenset(batch) for batch in plans[1]}


def test_batches_hold_similar_lengths_in_no_order():
    lengths = np.random.default_rng(0).integers(1, 200, size=20_000)
    batches = plan_batches(lengths, seed=3, epoch=0, batch_tokens=2000)
    spread = np.mean([np.ptp(lengths[batch]) for batch in batches])
    # Batches of the same sizes dealt at random: what there would be without the buckets.
    control = np.random.default_rng(1).permutation(len(lengths))
    cuts = np.cumsum([len(batch) for batch in batches])[:-1]
    assert spread < 0.2 * np.mean([np.ptp(lengths[part]) for part in np.split(control, cuts)])
    means = [lengths[batch].mean() for batch in batches]
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.15


def test_exactly_one_kind_of_budget_is_wanted():
    for wrong in ({}, {"batch_tokens": 5, "batch_size": 2}, {"batch_size": 0}):
        with pytest.raises(ValueError, match="batch_tokens or batch_size"):
            plan_batches([1, 2], seed=0, epoch=0, **wrong)
    with pytest.raises(ValueError, match="at least 1"):
        plan_evaluation_batches([1], 0)


@given(some_lengths, st.integers(1, 60))
def test_a_plan_reads_like_the_lists_of_its_batches(lengths, budget):
    plan = plan_batches(lengths, seed=4, epoch=1, batch_tokens=budget)
    lists = [list(plan[i]) for i in range(len(plan))]
    assert plan == lists
    assert plan[1:5:2] == lists[1:5:2]
    assert all(type(i) is int for batch in plan for i in batch)
    later = plan.numbered(lambda ids: [100 + i for i in ids])
    assert later == [[100 + i for i in batch] for batch in lists]
    assert not lists or later != plan


def test_a_plan_holds_a_few_bytes_an_example():
    lengths = np.random.default_rng(0).integers(1, 50, size=50_000)
    tracemalloc.start()
    try:
        plan = plan_batches(lengths, seed=3, epoch=0, batch_tokens=2000)
        as_array = tracemalloc.get_traced_memory()[0]
        lists = list(plan)
        as_lists = tracemalloc.get_traced_memory()[0] - as_array
    finally:
        tracemalloc.stop()
    assert sum(map(len, lists)) == 50_000
    assert as_array < 10 * 50_000
    assert as_lists > 30 * 50_000
