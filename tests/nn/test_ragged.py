"""Means and softmax of groups of rows, each group by itself."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowkey.nn.layout import SequenceLayout
from lowkey.nn.ragged import mean_of_groups, ragged_log_softmax

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=6)


@settings(max_examples=30, deadline=None)
@given(LENGTHS, st.integers(0, 99), st.sampled_from([1.0, 1e4]))
def test_log_softmax_is_that_of_each_sentence(lengths, seed, scale):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(sum(lengths), 2, generator=generator) * scale
    scores.requires_grad_()
    found = ragged_log_softmax(scores, SequenceLayout(lengths))
    expected = torch.cat([part.log_softmax(0) for part in scores.split(lengths)])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    weights = torch.randn(found.shape, generator=generator)
    gradients = [torch.autograd.grad((x * weights).sum(), scores)[0] for x in (found, expected)]
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(LENGTHS, st.integers(0, 99))
def test_the_mean_is_that_of_each_group_in_any_order(counts, seed):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(sum(counts), 3, generator=generator)
    expected = torch.stack([part.mean(0) for part in rows.split(counts)])
    groups = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    order = torch.randperm(len(rows), generator=generator)
    found = mean_of_groups(rows[order], groups[order], len(counts))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
