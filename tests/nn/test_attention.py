"""Attention against torch's own, against its formula, and against what it must not do."""

import math

import pytest
import torch
from torch import Tensor, nn

from lowkey.nn.attention import MultiHeadAttention
from lowkey.nn.dropout import set_generator
from lowkey.nn.layout import SequenceLayout

KERNELS = ["reference", "grouped"]
# Lengths that make several groups, one of them with padding and one without.
LENGTHS = [3, 200, 4, 190, 1, 4]


def make(
    kernel: str = "auto", d_model: int = 16, num_heads: int = 4, **options
) -> MultiHeadAttention:
    torch.manual_seed(0)
    attention = MultiHeadAttention(d_model, num_heads, kernel=kernel, **options)
    for parameter in attention.parameters():
        nn.init.normal_(parameter, std=0.3)
    return attention


def as_torch(ours: MultiHeadAttention) -> nn.MultiheadAttention:
    d_model = ours.query.in_features
    theirs = nn.MultiheadAttention(d_model, ours.num_heads, batch_first=True)
    maps = [ours.query, ours.key, ours.value]
    theirs.in_proj_weight.data = torch.cat([m.weight.data for m in maps])
    theirs.in_proj_bias.data = torch.cat([m.bias.data for m in maps])
    theirs.out_proj.load_state_dict(ours.out.state_dict())
    return theirs


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("causal", [False, True])
def test_equals_torch_multihead_attention(kernel: str, causal: bool) -> None:
    ours = make(kernel)
    layout = SequenceLayout(LENGTHS)
    x = torch.randn(layout.num_tokens, 16)
    hidden = None
    if causal:
        hidden = torch.ones(layout.max_length, layout.max_length, dtype=torch.bool).triu(1)
    padded = layout.pad(x)
    expected, weights = as_torch(ours)(
        padded,
        padded,
        padded,
        key_padding_mask=~layout.mask(),
        attn_mask=hidden,
        average_attn_weights=False,
    )
    torch.testing.assert_close(
        ours(x, layout, causal=causal), layout.unpad(expected), atol=1e-5, rtol=0
    )
    for sentence, w in enumerate(ours.weights(x, layout, causal=causal)):
        n = LENGTHS[sentence]
        torch.testing.assert_close(w, weights[sentence, :, :n, :n], atol=1e-5, rtol=0)


@pytest.mark.parametrize("kernel", KERNELS)
def test_cross_attention_equals_torch(kernel: str) -> None:
    ours = make(kernel)
    queries, keys = SequenceLayout([2, 7, 3]), SequenceLayout([30, 1, 4])
    x, memory = torch.randn(12, 16), torch.randn(35, 16)
    expected, _ = as_torch(ours)(
        queries.pad(x), keys.pad(memory), keys.pad(memory), key_padding_mask=~keys.mask()
    )
    found = ours(x, queries, memory, keys)
    torch.testing.assert_close(found, queries.unpad(expected), atol=1e-5, rtol=0)


@pytest.mark.parametrize("causal", [False, True])
def test_kernels_agree_in_value_and_gradient(causal: bool) -> None:
    layout = SequenceLayout(LENGTHS)
    x = torch.randn(layout.num_tokens, 16)
    results = []
    for kernel in KERNELS:
        attention = make(kernel).train()
        leaf = x.clone().requires_grad_()
        output = attention(leaf, layout, causal=causal)
        (output * torch.sin(torch.arange(output.numel()).view_as(output))).sum().backward()
        results.append([output, leaf.grad, *(p.grad for p in attention.parameters())])
    for ours, truth in zip(*results, strict=True):
        torch.testing.assert_close(ours, truth, atol=2e-4, rtol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_gradcheck_in_float64(causal: bool, rotary: bool, dropout: float) -> None:
    attention = make(d_model=4, num_heads=2, dropout=dropout, rotary=rotary).double()
    layout = SequenceLayout([3, 1, 40, 2])
    generator = torch.Generator()
    set_generator(attention, generator)

    def run(x: Tensor) -> Tensor:
        generator.manual_seed(5)  # the same mask at every evaluation
        return attention(x, layout, causal=causal)

    x = torch.randn(layout.num_tokens, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(run, (x,), fast_mode=True)


def rotated(x: Tensor, layout: SequenceLayout, d_head: int) -> Tensor:
    """Rotary positions as complex numbers of modulus 1."""
    pairs = torch.view_as_complex(x.view(len(x), -1, d_head // 2, 2))
    angles = layout.positions[:, None] * 10_000 ** (-torch.arange(0, d_head, 2) / d_head)
    turns = torch.polar(torch.ones_like(angles), angles).unsqueeze(1)
    return torch.view_as_real(pairs * turns).flatten(1)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("causal", [False, True])
def test_rotary_attention_turns_queries_and_keys_but_not_values(kernel: str, causal: bool) -> None:
    attention = make(kernel, rotary=True)
    layout = SequenceLayout(LENGTHS)
    x = torch.randn(layout.num_tokens, 16)
    q, k = (rotated(m(x), layout, 4) for m in (attention.query, attention.key))
    v, start = attention.value(x), 0
    heads = []
    for n in LENGTHS:
        sentence = [y[start : start + n].view(n, 4, 4).transpose(0, 1) for y in (q, k, v)]
        mixed = nn.functional.scaled_dot_product_attention(*sentence, is_causal=causal)
        heads.append(mixed.transpose(0, 1).flatten(1))
        start += n
    expected = attention.out(torch.cat(heads))
    found = attention(x, layout, causal=causal)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    # The control: without the turns it is something else, and the first sentence knows its order.
    plain = make(kernel)
    assert (plain(x, layout, causal=causal) - found).abs().max() > 1e-2
    first = attention.weights(x, layout, causal=causal)[0]
    scores = q[:3].view(3, 4, 4).transpose(0, 1) @ k[:3].view(3, 4, 4).permute(1, 2, 0) / 2
    if causal:
        scores = scores.masked_fill(torch.ones(3, 3, dtype=torch.bool).triu(1), float("-inf"))
    torch.testing.assert_close(first, scores.softmax(-1), atol=1e-5, rtol=0)


def test_rotary_attention_does_not_change_when_all_positions_move() -> None:
    attention = make(rotary=True)
    x = torch.randn(7, 16)
    rotary, layout = attention.rotary, SequenceLayout([7])
    here = attention(x, layout)
    there = SequenceLayout([7])
    there.positions = layout.positions + 50  # the same tokens, later in a longer text
    rotary(x, there.positions, 57)  # grows the table, which knows the length of a sentence only
    torch.testing.assert_close(attention(x, there), here, atol=1e-5, rtol=0)
    mirrored = SequenceLayout([7])
    mirrored.positions = layout.positions.flip(0)
    assert (attention(x, mirrored) - here).abs().max() > 1e-2


def test_rotary_positions_order_one_sequence_only() -> None:
    attention, layout = make(rotary=True), SequenceLayout([3])
    x = torch.randn(3, 16)
    with pytest.raises(ValueError, match="order one sequence"):
        attention(x, layout, x, layout)
    with pytest.raises(ValueError, match="even number"):
        make(d_model=12, rotary=True)


def test_one_frozen_projection_does_not_change_the_other_gradients() -> None:
    layout = SequenceLayout([5, 9])
    x = torch.randn(14, 16)
    gradients = []
    for frozen in (False, True):
        attention = make()
        attention.key.requires_grad_(not frozen)
        attention(x, layout).square().sum().backward()
        gradients.append((attention.query.weight.grad, attention.value.weight.grad))
    for full, partial in zip(*gradients, strict=True):
        assert torch.equal(full, partial)


@pytest.mark.parametrize("kernel", KERNELS)
def test_sentences_do_not_see_each_other(kernel: str) -> None:
    attention = make(kernel)
    layout = SequenceLayout([3, 4, 2])
    x = torch.randn(9, 16)
    before = attention(x, layout)
    changed = x.clone()
    changed[3] += 1  # the first token of the second sentence
    after = attention(changed, layout)
    same = (before - after).abs().amax(1) < 1e-6
    assert same.tolist() == [True] * 3 + [False] * 4 + [True] * 2


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_order_of_the_batch_is_irrelevant(kernel: str) -> None:
    attention = make(kernel)
    layout = SequenceLayout(LENGTHS)
    x = torch.randn(layout.num_tokens, 16)
    rows, shuffled = layout.select([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(
        attention(x[rows], shuffled), attention(x, layout)[rows], atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("kernel", KERNELS)
def test_causal_attention_never_looks_ahead(kernel: str) -> None:
    attention = make(kernel)
    layout = SequenceLayout([6])
    x = torch.randn(6, 16)
    changed = x.clone()
    changed[3] += 1
    causal = [attention(y, layout, causal=True) for y in (x, changed)]
    assert torch.equal(causal[0][:3], causal[1][:3])
    # The control: without the mask the edit is seen by all.
    free = [attention(y, layout) for y in (x, changed)]
    assert (free[0][:3] - free[1][:3]).abs().amax(1).min() > 1e-4


def test_dropout_falls_on_the_weights_and_keeps_the_expectation() -> None:
    attention = make(d_model=4, num_heads=1, dropout=0.5).train()
    generator = torch.Generator().manual_seed(1)
    set_generator(attention, generator)
    for projection in (attention.value, attention.out):
        nn.init.eye_(projection.weight)
        nn.init.zeros_(projection.bias)
    layout = SequenceLayout([4] * 3000)
    output = attention(torch.ones(12_000, 4), layout)[:, 0]
    # Four equal weights of 1/4, each kept with probability 1/2 and doubled: 0, .5, 1, 1.5 or 2.
    # Dropout on the output instead would give 0 and 2 only.
    share = torch.stack([(output == v).float().mean() for v in (0.0, 0.5, 1.0, 1.5, 2.0)])
    binomial = torch.tensor([math.comb(4, k) / 16 for k in range(5)])
    assert (share - binomial).abs().max() < 0.02


def test_bf16_stays_near_fp32() -> None:
    attention = make()
    layout = SequenceLayout(LENGTHS)
    x = torch.randn(layout.num_tokens, 16)
    exact, rough = attention(x, layout), attention(x.bfloat16(), layout)
    assert rough.dtype == torch.bfloat16
    assert (exact - rough.float()).abs().max() < 0.05 * exact.abs().max()


def test_auto_is_the_grouped_kernel_and_others_are_refused() -> None:
    assert make("auto").kernel is make("grouped").kernel
    assert make("reference").kernel is not make("grouped").kernel
    with pytest.raises(ValueError, match="no attention kernel 'flash'"):
        make("flash")
    with pytest.raises(ValueError, match="must divide"):
        MultiHeadAttention(6, 4)
