"""Attention by distance: windows and biases, in both kernels, against torch's own attention."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lowkey.nn.attention import MultiHeadAttention
from lowkey.nn.cache import SelfAttentionCache
from lowkey.nn.dropout import set_generator
from lowkey.nn.groups import plan_groups
from lowkey.nn.kernels import KERNELS
from lowkey.nn.layout import SequenceLayout

# Lengths that make several groups, with padding and without.
LENGTHS = [3, 200, 4, 190, 1, 4]
EACH = pytest.mark.parametrize("kernel", list(KERNELS))
WINDOWS = pytest.mark.parametrize("window", [None, 0, 2, 195, 500])


def inputs(lengths: list[int] = LENGTHS, heads: int = 2, dtype=torch.float32):
    """Queries, keys and values, their layout, and a bias for each distance."""
    generator = torch.Generator().manual_seed(0)
    layout = SequenceLayout(lengths)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_()

    tensors = [drawn(layout.num_tokens, 4 * heads) for _ in range(3)]
    return tensors, layout, drawn(heads, 2 * layout.max_length - 1)


def by_torch(tensors, layout, bias, window, causal=False) -> Tensor:
    """torch's attention of each sentence with a mask written cell by cell."""
    outputs = []
    start = 0
    longest = layout.max_length
    for n in layout.lengths.tolist():
        q, k, v = (x[start : start + n].unflatten(1, (2, 4)).transpose(0, 1) for x in tensors)
        mask = torch.zeros(2, n, n, dtype=q.dtype)
        for query in range(n):
            first = 0 if window is None else max(0, query - window)
            last = n if window is None else min(n, query + window + 1)
            last = min(last, query + 1) if causal else last
            row = torch.full((2, n), float("-inf"), dtype=q.dtype)
            row[:, first:last] = 0
            if bias is not None:
                row = row + bias[:, longest - 1 - query : longest - 1 - query + n]
            mask[:, query] = row
        outputs.append(F.scaled_dot_product_attention(q, k, v, mask).transpose(0, 1).flatten(1))
        start += n
    return torch.cat(outputs)


@EACH
@WINDOWS
@pytest.mark.parametrize("biased", [False, True])
def test_windows_and_biases_equal_torch_in_value_and_gradient(kernel, window, biased) -> None:
    tensors, layout, bias = inputs()
    leaves = [*tensors, bias] if biased else tensors
    used = bias if biased else None
    ours = KERNELS[kernel](*tensors, layout, layout, num_heads=2, window=window, bias=used)
    theirs = by_torch(tensors, layout, used, window)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    weighting = torch.sin(torch.arange(ours.numel()).view_as(ours))
    found = torch.autograd.grad((ours * weighting).sum(), leaves)
    expected = torch.autograd.grad((theirs * weighting).sum(), leaves)
    for mine, truth in zip(found, expected, strict=True):
        assert truth.abs().max() > 1e-3 or window == 0  # a lone key has no choice to learn
        torch.testing.assert_close(mine, truth, atol=2e-5, rtol=1e-5)


@EACH
def test_a_window_may_be_causal_too(kernel) -> None:
    tensors, layout, bias = inputs()
    options = {"window": 3, "bias": bias, "causal": True}
    ours = KERNELS[kernel](*tensors, layout, layout, num_heads=2, **options)
    theirs = by_torch(tensors, layout, bias, 3, causal=True)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


@EACH
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_gradcheck_of_the_bias_in_float64(kernel, dropout) -> None:
    tensors, layout, bias = inputs([3, 1, 12, 2], dtype=torch.float64)
    generator = torch.Generator()

    def run(*leaves: Tensor) -> Tensor:
        generator.manual_seed(5)  # the same mask at every evaluation
        return KERNELS[kernel](
            *leaves[:3],
            layout,
            layout,
            num_heads=2,
            window=4,
            bias=leaves[3],
            dropout=dropout,
            generator=generator,
        )

    assert torch.autograd.gradcheck(run, (*tensors, bias), fast_mode=True)


def test_what_is_frozen_changes_no_other_gradient() -> None:
    for frozen in range(4):
        tensors, layout, bias = inputs()
        leaves = [*tensors, bias]
        full = KERNELS["grouped"](*tensors, layout, layout, num_heads=2, bias=bias)
        expected = torch.autograd.grad(full.square().sum(), leaves)
        leaves[frozen].requires_grad_(False)
        part = KERNELS["grouped"](*tensors, layout, layout, num_heads=2, bias=bias)
        rest = [i for i in range(4) if i != frozen]
        found = torch.autograd.grad(part.square().sum(), [leaves[i] for i in rest])
        for mine, i in zip(found, rest, strict=True):
            assert mine.equal(expected[i])


@EACH
def test_a_token_sees_its_window_and_nothing_beyond(kernel) -> None:
    torch.manual_seed(0)
    attention = MultiHeadAttention(8, 2, kernel=kernel, window=2)
    layout = SequenceLayout([9, 4])
    x = torch.randn(13, 8)
    changed = x.clone()
    changed[5] += 1
    moved = (attention(changed, layout) - attention(x, layout)).abs().amax(1) > 1e-6
    assert moved.nonzero().flatten().tolist() == [3, 4, 5, 6, 7]
    for weights, n in zip(attention.weights(x, layout), (9, 4), strict=True):
        places = torch.arange(n)
        near = (places - places[:, None]).abs() <= 2
        assert ((weights > 0) == near).all()


def test_a_window_that_hides_nothing_needs_no_plan_of_its_own() -> None:
    layout = SequenceLayout([5, 3])
    plan = plan_groups(layout, layout, 2, causal=False)
    assert plan_groups(layout, layout, 2, causal=False, window=4) is plan
    assert plan_groups(layout, layout, 2, causal=False, window=3) is not plan


def test_bf16_with_a_bias_stays_near_fp32() -> None:
    tensors, layout, bias = inputs()
    exact = KERNELS["grouped"](*tensors, layout, layout, num_heads=2, bias=bias)
    rounded = [x.detach().bfloat16().requires_grad_() for x in tensors]
    half = KERNELS["grouped"](*rounded, layout, layout, num_heads=2, bias=bias)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), exact, atol=0.05, rtol=0)
    half.float().square().sum().backward()
    expected = torch.autograd.grad(exact.square().sum(), [bias])[0]
    assert bias.grad.dtype == torch.float32
    assert (bias.grad - expected).norm() < 0.05 * expected.norm()


def test_dropout_with_a_bias_is_drawn_from_the_generator() -> None:
    torch.manual_seed(0)
    attention = MultiHeadAttention(8, 2, dropout=0.5)
    layout, x, bias = SequenceLayout([6, 3]), torch.randn(9, 8), torch.randn(2, 11)
    generator = torch.Generator()
    set_generator(attention, generator)
    outputs = []
    for seed in (1, 1, 2):
        generator.manual_seed(seed)
        outputs.append(attention(x, layout, bias=bias))
    assert outputs[0].equal(outputs[1])
    assert not outputs[0].equal(outputs[2])


def test_positions_of_two_sequences_are_not_compared() -> None:
    layout, x = SequenceLayout([2]), torch.randn(2, 8)
    windowed = MultiHeadAttention(8, 2, window=1)
    with pytest.raises(ValueError, match="order one sequence"):
        windowed(x, layout, x, layout)
    with pytest.raises(ValueError, match="order one sequence"):
        MultiHeadAttention(8, 2)(x, layout, x, layout, bias=torch.zeros(2, 3))
    with pytest.raises(ValueError, match="neither a window nor a bias"):
        windowed(x, layout, cache=SelfAttentionCache())
    with pytest.raises(ValueError, match="a window needs queries and keys of the same lengths"):
        plan_groups(SequenceLayout([2]), SequenceLayout([3]), 2, causal=False, window=0)
