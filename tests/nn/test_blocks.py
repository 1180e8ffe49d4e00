"""Blocks against torch's own layers, post- and pre-norm, and their cached steps."""

import pytest
import torch
from torch import nn

from lowkey.nn.blocks import BlockShape, DecoderBlock, EncoderBlock
from lowkey.nn.dropout import Dropout
from lowkey.nn.layout import SequenceLayout

TORCH_NAMES = {
    "attention": "self_attn",
    "attention_norm": "norm1",
    "feed_forward.up": "linear1",
    "feed_forward.down": "linear2",
}


def copy_attention(ours: nn.Module, theirs: nn.MultiheadAttention) -> None:
    maps = [ours.query, ours.key, ours.value]
    theirs.in_proj_weight.data = torch.cat([m.weight.data for m in maps])
    theirs.in_proj_bias.data = torch.cat([m.bias.data for m in maps])
    theirs.out_proj.load_state_dict(ours.out.state_dict())


def shape(pre_norm: bool, **options) -> BlockShape:
    return BlockShape(d_model=8, num_heads=2, d_ff=16, pre_norm=pre_norm, **options)


MODERN = {"gated": True, "rotary": True, "activation": "silu"}


@pytest.mark.parametrize("pre_norm", [False, True])
def test_encoder_block_equals_torch(pre_norm: bool) -> None:
    torch.manual_seed(0)
    ours = EncoderBlock(shape(pre_norm))
    theirs = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True, norm_first=pre_norm)
    copy_attention(ours.attention, theirs.self_attn)
    theirs.linear1.load_state_dict(ours.feed_forward.up.state_dict())
    theirs.linear2.load_state_dict(ours.feed_forward.down.state_dict())
    layout = SequenceLayout([3, 5])
    x = torch.randn(8, 8)
    expected = layout.unpad(theirs(layout.pad(x), src_key_padding_mask=~layout.mask()))
    torch.testing.assert_close(ours(x, layout), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("pre_norm", [False, True])
def test_decoder_block_equals_torch_and_its_own_steps(pre_norm: bool) -> None:
    torch.manual_seed(0)
    ours = DecoderBlock(shape(pre_norm))
    theirs = nn.TransformerDecoderLayer(8, 2, 16, 0.0, batch_first=True, norm_first=pre_norm)
    copy_attention(ours.attention, theirs.self_attn)
    copy_attention(ours.cross_attention, theirs.multihead_attn)
    theirs.linear1.load_state_dict(ours.feed_forward.up.state_dict())
    theirs.linear2.load_state_dict(ours.feed_forward.down.state_dict())
    layout, memory_layout = SequenceLayout([4, 4]), SequenceLayout([2, 6])
    x, memory = torch.randn(8, 8), torch.randn(8, 8)
    padded = theirs(
        layout.pad(x),
        memory_layout.pad(memory),
        tgt_mask=torch.ones(4, 4, dtype=torch.bool).triu(1),
        memory_key_padding_mask=~memory_layout.mask(),
    )
    full = ours(x, layout, memory, memory_layout)
    torch.testing.assert_close(full, layout.unpad(padded), atol=1e-5, rtol=0)
    cache = ours.cache(memory, memory_layout)
    ones = SequenceLayout([1, 1])
    stepped = [ours.step(x.view(2, 4, 8)[:, t], ones, cache) for t in range(4)]
    torch.testing.assert_close(torch.stack(stepped, 1).flatten(0, 1), full, atol=1e-5, rtol=0)


@pytest.mark.parametrize("pre_norm", [False, True])
def test_modern_steps_equal_the_full_forward_pass(pre_norm: bool) -> None:
    torch.manual_seed(0)
    block = DecoderBlock(shape(pre_norm, **MODERN))
    layout, memory_layout = SequenceLayout([5, 5]), SequenceLayout([2, 6])
    x, memory = torch.randn(10, 8), torch.randn(8, 8)
    full = block(x, layout, memory, memory_layout).view(2, 5, 8)
    cache, ones = block.cache(memory, memory_layout), SequenceLayout([1, 1])
    stepped = [block.step(x.view(2, 5, 8)[:, t], ones, cache) for t in range(5)]
    torch.testing.assert_close(torch.stack(stepped, 1), full, atol=1e-5, rtol=0)
    # Only self-attention turns: the tokens of a memory have no place in the order of the target.
    assert block.attention.rotary is not None
    assert block.cross_attention.rotary is None


@pytest.mark.parametrize("options", [{}, MODERN], ids=["paper", "modern"])
@pytest.mark.parametrize("pre_norm", [False, True])
def test_gradcheck_in_float64(pre_norm: bool, options: dict) -> None:
    torch.manual_seed(0)
    # A smooth activation: at the corner of relu a difference quotient is no derivative.
    options = {"activation": "gelu", **options}
    encoder = EncoderBlock(shape(pre_norm, **options)).double()
    decoder = DecoderBlock(shape(pre_norm, **options)).double()
    source, target = SequenceLayout([3, 1]), SequenceLayout([2, 4])
    x, y = (torch.randn(n, 8, dtype=torch.float64, requires_grad=True) for n in (4, 6))

    def run(x: torch.Tensor, y: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return decoder(y, target, encoder(x, source), source)

    # gradcheck changes its inputs in place, so parameters may be inputs that `run` does not name.
    parameters = [*encoder.parameters(), *decoder.parameters()]
    assert torch.autograd.gradcheck(run, (x, y, *parameters), fast_mode=True)
    assert torch.autograd.gradcheck(lambda x: encoder(x, source), (x,))
    assert torch.autograd.gradcheck(lambda y: run(x.detach(), y), (y,))


def zeroed_places(block: nn.Module, *inputs: object) -> dict[str, float]:
    """The share of zeros behind each dropout of a block in one forward pass."""
    shares: dict[str, list[float]] = {}

    def note(name: str):
        def hook(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
            lost = (output == 0) & (inputs[0] != 0)
            shares.setdefault(name, []).append(lost.float().mean().item())

        return hook

    handles = [
        module.register_forward_hook(note(name))
        for name, module in block.named_modules()
        if isinstance(module, Dropout)
    ]
    block(*inputs)
    for handle in handles:
        handle.remove()
    return {name: sum(found) / len(found) for name, found in shares.items()}


@pytest.mark.parametrize("place", ["dropout", "attention_dropout", "activation_dropout"])
def test_each_dropout_falls_in_its_own_place(place: str) -> None:
    torch.manual_seed(0)
    source = SequenceLayout([40] * 20)
    x = torch.randn(800, 8)
    encoder = EncoderBlock(shape(True, activation="gelu", **{place: 0.5})).train()
    decoder = DecoderBlock(shape(True, activation="gelu", **{place: 0.5})).train()
    blocks = ((encoder, (x, source)), (decoder, (x, source, x, source)))
    for block, inputs in blocks:
        found = zeroed_places(block, *inputs)
        assert found.pop("dropout") == pytest.approx(0.5 * (place == "dropout"), abs=0.03)
        inner = 0.5 * (place == "activation_dropout")
        assert found.pop("feed_forward.dropout") == pytest.approx(inner, abs=0.03)
        assert not found  # attention hands its rate to the kernel
        attentions = [m for n, m in block.named_modules() if n.endswith("attention")]
        rates = {attention.dropout.rate for attention in attentions}
        assert rates == {0.5 * (place == "attention_dropout")}
        again = block(*inputs)
        assert not torch.equal(block(*inputs), again)  # the rate is in force, wherever it is
        assert torch.equal(block.eval()(*inputs), block(*inputs))


def test_dropout_of_a_sublayer_falls_before_the_sum() -> None:
    torch.manual_seed(0)
    layout = SequenceLayout([4] * 500)
    block = EncoderBlock(shape(True, dropout=0.5)).train()
    for parameter in block.attention.parameters():
        nn.init.zeros_(parameter)  # attention then adds its last bias alone
    for parameter in block.feed_forward.parameters():
        nn.init.zeros_(parameter)
    nn.init.constant_(block.attention.out.bias, 3.0)
    added = block(torch.full((2000, 8), 10.0), layout) - 10
    assert set(added.unique().tolist()) == {0.0, 6.0}  # the way past the sub-layer is never cut
