"""The Transformer against torch.nn.Transformer, its own cached steps, and causality."""

import math

import pytest
import torch
from torch import nn

from lowkey.models.config import TransformerConfig
from lowkey.models.transformer import Transformer
from lowkey.nn.layout import SequenceLayout
from lowkey.nn.positions import sinusoidal_table


def make(**changes) -> Transformer:
    torch.manual_seed(0)
    sizes = {
        "source_vocab_size": 13,
        "target_vocab_size": 11,
        "d_model": 8,
        "num_heads": 2,
        "d_ff": 16,
        "num_encoder_layers": 2,
        "num_decoder_layers": 2,
    }
    model = Transformer(TransformerConfig(**{**sizes, **changes})).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):  # zero biases would hide a missing one
            nn.init.normal_(parameter, std=0.2)
    return model


def batch() -> tuple[torch.Tensor, SequenceLayout, torch.Tensor, SequenceLayout]:
    source, target = SequenceLayout([3, 5, 1]), SequenceLayout([4, 2, 6])
    return torch.randint(0, 13, (9,)), source, torch.randint(0, 11, (12,)), target


def copy_block(ours: nn.Module, theirs: nn.Module) -> None:
    pairs = [(ours.attention, theirs.self_attn)]
    norms = [ours.attention_norm, ours.feed_forward_norm]
    if hasattr(ours, "cross_attention"):
        pairs.append((ours.cross_attention, theirs.multihead_attn))
        norms.insert(1, ours.cross_attention_norm)
    for mine, other in pairs:
        maps = [mine.query, mine.key, mine.value]
        other.in_proj_weight.data = torch.cat([m.weight.data for m in maps])
        other.in_proj_bias.data = torch.cat([m.bias.data for m in maps])
        other.out_proj.load_state_dict(mine.out.state_dict())
    for number, norm in enumerate(norms, 1):
        getattr(theirs, f"norm{number}").load_state_dict(norm.state_dict())
    theirs.linear1.load_state_dict(ours.feed_forward.up.state_dict())
    theirs.linear2.load_state_dict(ours.feed_forward.down.state_dict())


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_equals_torch_transformer(norm: str) -> None:
    ours = make(norm=norm)
    theirs = nn.Transformer(8, 2, 2, 2, 16, 0.0, batch_first=True, norm_first=norm == "pre").eval()
    if norm == "pre":
        theirs.encoder.norm.load_state_dict(ours.encoder_norm.state_dict())
        theirs.decoder.norm.load_state_dict(ours.decoder_norm.state_dict())
    else:  # torch adds a norm at the end of each stack that the paper does not have
        theirs.encoder.norm = theirs.decoder.norm = None
    for mine, other in zip(ours.encoder_blocks, theirs.encoder.layers, strict=True):
        copy_block(mine, other)
    for mine, other in zip(ours.decoder_blocks, theirs.decoder.layers, strict=True):
        copy_block(mine, other)
    source_ids, source, target_ids, target = batch()
    table = sinusoidal_table(10, 8)

    def embed(layout, ids, embeddings):
        return layout.pad(embeddings.token.weight[ids] * math.sqrt(8) + table[layout.positions])

    hidden = theirs(
        embed(source, source_ids, ours.source_embeddings),
        embed(target, target_ids, ours.target_embeddings),
        tgt_mask=torch.ones(6, 6, dtype=torch.bool).triu(1),
        src_key_padding_mask=~source.mask(),
        memory_key_padding_mask=~source.mask(),
    )
    expected = target.unpad(hidden) @ ours.target_embeddings.token.weight.T
    found = ours(source_ids, source, target_ids, target)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "changes",
    [{}, {"norm": "pre"}, {"positions": "learned"}, {"tie_embeddings": False}],
    ids=lambda c: next(iter(c), "paper"),
)
def test_steps_equal_the_full_forward_pass(changes: dict) -> None:
    model = make(**changes)
    source_ids, source = torch.randint(0, 13, (9,)), SequenceLayout([3, 5, 1])
    target_ids = torch.randint(0, 11, (3, 5))
    full = model(source_ids, source, target_ids.flatten(), SequenceLayout([5] * 3)).view(3, 5, -1)
    state = model.start(source_ids, source)
    stepped = torch.stack([state.step(target_ids[:, t]) for t in range(5)], 1)
    torch.testing.assert_close(stepped, full, atol=1e-5, rtol=0)


def test_reorder_moves_prefix_and_source_together() -> None:
    model = make()
    source_ids, source = torch.randint(0, 13, (9,)), SequenceLayout([3, 5, 1])
    state = model.start(source_ids, source)
    state.step(torch.tensor([1, 1, 1]))
    state.reorder(torch.tensor([0, 0, 2, 2]))  # sentence 1 is finished, two beams each
    state.step(torch.tensor([2, 3, 4, 5]))
    state.reorder(torch.tensor([1, 0, 2, 3]))  # the beams of sentence 0 change places
    stepped = state.step(torch.tensor([6, 7, 8, 9]))
    prefixes = torch.tensor([[1, 3, 6], [1, 2, 7], [1, 4, 8], [1, 5, 9]])
    rows, kept = source.select([0, 0, 2, 2])
    full = model(source_ids[rows], kept, prefixes.flatten(), SequenceLayout([3] * 4))
    torch.testing.assert_close(stepped, full.view(4, 3, -1)[:, -1], atol=1e-5, rtol=0)


def test_no_target_token_knows_a_later_one() -> None:
    model = make()
    source_ids, source, target_ids, target = batch()
    changed = target_ids.clone()
    changed[2] = (changed[2] + 1) % 11
    difference = (
        (model(source_ids, source, target_ids, target) - model(source_ids, source, changed, target))
        .abs()
        .amax(1)
    )
    assert not difference[:2].any()
    assert difference[2:4].min() > 0
    assert not difference[4:].any()  # nor do the other sentences


def test_tied_and_shared_tables_are_one_parameter() -> None:
    def count(**changes) -> int:
        return sum(p.numel() for p in make(source_vocab_size=11, **changes).parameters())

    tied = count()
    assert count(tie_embeddings=False) == tied + 11 * 8
    assert count(share_embeddings=True) == tied - 11 * 8


def test_the_base_model_has_the_papers_size() -> None:
    config = TransformerConfig(
        source_vocab_size=37_000,
        target_vocab_size=37_000,
        d_model=512,
        num_heads=8,
        d_ff=2048,
        num_encoder_layers=6,
        num_decoder_layers=6,
        share_embeddings=True,
    )
    with torch.device("meta"):
        model = Transformer(config)
    parameters = sum(p.numel() for p in model.parameters())
    assert abs(parameters / 65e6 - 1) < 0.04  # table 3 of the paper
