"""Decoding step by step gives what attending to the whole prefix gives."""

import copy

import pytest
import torch

from lowkey.nn.attention import MultiHeadAttention
from lowkey.nn.cache import CrossAttentionCache, SelfAttentionCache
from lowkey.nn.layout import SequenceLayout


def steps(
    attention: MultiHeadAttention, x: torch.Tensor, order: torch.Tensor | None
) -> torch.Tensor:
    """Feeds (rows, length, d_model) token by token, reordering the rows half way."""
    cache, outputs = SelfAttentionCache(), []
    for t in range(x.shape[1]):
        if order is not None and t == 20:
            cache.reorder(order)
        layout = SequenceLayout([1] * len(x))
        outputs.append(attention(x[:, t], layout, cache=cache))
    return torch.stack(outputs, 1)


@pytest.mark.parametrize(("rotary", "length"), [(False, 40), (True, 80)])
def test_steps_equal_the_causal_forward_pass_beyond_the_first_allocation(
    rotary: bool, length: int
) -> None:
    torch.manual_seed(0)
    attention = MultiHeadAttention(8, 2, rotary=rotary)
    x = torch.randn(3, length, 8)
    layout = SequenceLayout([length] * 3)
    full = copy.deepcopy(attention)(x.flatten(0, 1), layout, causal=True).view(3, length, 8)
    torch.testing.assert_close(steps(attention, x, None), full, atol=1e-5, rtol=0)


@pytest.mark.parametrize("order", [[2, 0, 1], [1, 1, 0]])
@pytest.mark.parametrize("rotary", [False, True])
def test_after_reorder_each_row_continues_its_parent(order: list[int], rotary: bool) -> None:
    torch.manual_seed(0)
    attention = MultiHeadAttention(8, 2, rotary=rotary)
    x = torch.randn(3, 30, 8)
    stepped = steps(attention, x, torch.tensor(order))
    # Row i of the second half continues the first half of row order[i].
    joined = torch.cat([x[order, :20], x[:, 20:]], 1)
    full = attention(joined.flatten(0, 1), SequenceLayout([30] * 3), causal=True).view(3, 30, 8)
    torch.testing.assert_close(stepped[:, 20:], full[:, 20:], atol=1e-5, rtol=0)
    # The control: continuing without moving the cache is something else.
    assert (steps(attention, x, None)[:, 20:] - full[:, 20:]).abs().max() > 1e-3


def test_cross_attention_shares_the_source_between_the_rows_of_a_sentence() -> None:
    torch.manual_seed(0)
    attention = MultiHeadAttention(8, 2)
    memory, memory_layout = torch.randn(9, 8), SequenceLayout([2, 7])
    cache = CrossAttentionCache(attention.key(memory), attention.value(memory), memory_layout, 2)
    x = torch.randn(6, 8)  # three rows for each of two sentences
    stepped = attention(x, SequenceLayout([1] * 6), cache=cache)
    full = attention(x, SequenceLayout([3, 3]), memory, memory_layout)
    torch.testing.assert_close(stepped, full, atol=1e-5, rtol=0)
    cache.reorder(torch.tensor([1]))
    alone = attention(x[3:], SequenceLayout([1] * 3), cache=cache)
    torch.testing.assert_close(alone, full[3:], atol=1e-5, rtol=0)


def test_attending_before_anything_was_appended_is_refused() -> None:
    with pytest.raises(RuntimeError, match="append"):
        SelfAttentionCache().attend(torch.zeros(1, 2, 4))
