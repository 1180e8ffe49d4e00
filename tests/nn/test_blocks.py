"""Blocks against torch's own layers, post- and pre-norm, and their cached steps."""

import pytest
import torch
from torch import nn

from lowkey.nn.blocks import BlockShape, DecoderBlock, EncoderBlock
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


def shape(pre_norm: bool) -> BlockShape:
    return BlockShape(d_model=8, num_heads=2, d_ff=16, pre_norm=pre_norm)


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
