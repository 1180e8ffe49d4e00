"""Groups: every cell of every sentence once, and never more cells than padding everything."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lowkey.nn.groups import plan_groups
from lowkey.nn.layout import SequenceLayout


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=1, max_size=12))
def test_every_query_and_key_is_computed_once(lengths: list[tuple[int, int]]) -> None:
    queries, keys = (SequenceLayout([pair[i] for pair in lengths]) for i in (0, 1))
    plan = plan_groups(queries, keys, 2, causal=False)
    for layout, slots in (
        (queries, [g.query_slots for g in plan.groups]),
        (keys, [g.key_slots for g in plan.groups]),
    ):
        written = torch.cat(slots)
        real = written[written < layout.num_tokens * 2]
        assert real.sort().values.tolist() == list(range(layout.num_tokens * 2))
    assert sum(g.num_sentences for g in plan.groups) == len(lengths)


def test_very_different_lengths_are_computed_apart() -> None:
    layout = SequenceLayout([8] * 20 + [400])
    plan = plan_groups(layout, layout, 12, causal=False)
    assert [g.num_sentences for g in plan.groups] == [20, 1]
    assert all(g.allowed is None and g.query_padding is None for g in plan.groups)


def test_a_plan_is_made_once() -> None:
    layout, other = SequenceLayout([2, 5]), SequenceLayout([2, 5])
    plan = plan_groups(layout, layout, 2, causal=False)
    assert plan_groups(layout, layout, 2, causal=False) is plan
    assert plan_groups(layout, other, 2, causal=False) is not plan
    assert plan_groups(layout, layout, 2, causal=True) is not plan


def test_layouts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="2 sentences ask, 1 answer"):
        plan_groups(SequenceLayout([2, 5]), SequenceLayout([3]), 2, causal=False)
    with pytest.raises(ValueError, match="same lengths"):
        plan_groups(SequenceLayout([2]), SequenceLayout([3]), 2, causal=True)
