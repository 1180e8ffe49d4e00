"""Sizes that cannot be are refused with the way out; every option reaches its part of the model."""

import math

import pytest
import tiny
import torch
from models.examples import batch, make
from pydantic import ValidationError
from torch import nn

from lowkey.models.config import EncoderConfig, TransformerConfig
from lowkey.models.transformer import Transformer
from lowkey.nn.attention import MultiHeadAttention
from lowkey.nn.feed_forward import FeedForward
from lowkey.nn.positions import sinusoidal_table

SIZES = {"d_model": 8, "num_heads": 2, "d_ff": 16}
TRANSFORMER = {
    **SIZES,
    "source_vocab_size": 9,
    "target_vocab_size": 7,
    "num_encoder_layers": 1,
    "num_decoder_layers": 1,
}


def test_heads_must_divide_the_width() -> None:
    sizes = {"vocab_size": 9, "num_layers": 1, "d_ff": 4, "d_model": 512, "num_heads": 7}
    with pytest.raises(
        ValidationError, match="not divisible by num_heads 7 — use 8 heads, or d_model 511"
    ):
        EncoderConfig(**sizes)
    EncoderConfig(**{**sizes, "num_heads": 8})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"d_model": 9, "num_heads": 3}, "even d_model"),
        ({"share_embeddings": True}, "source has 9 tokens and target 7"),
        ({"num_encoder_layers": 100_000}, "less than or equal to 1024"),
    ],
)
def test_parts_must_fit(change: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TransformerConfig(**{**TRANSFORMER, **change})


RATES = {
    "dropout": 0.1,
    "embedding_dropout": 0.2,
    "attention_dropout": 0.3,
    "activation_dropout": 0.4,
}


def parts(model: Transformer, kind: type[nn.Module]) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, kind)]


def test_each_rate_reaches_its_own_place() -> None:
    model = make(**RATES)
    blocks = [*model.encoder_blocks, *model.decoder_blocks]
    assert {block.dropout.p for block in blocks} == {0.1}
    embeddings = (model.source_embeddings, model.target_embeddings)
    assert {part.dropout.p for part in embeddings} == {0.2}
    assert {part.dropout.p for part in parts(model, MultiHeadAttention)} == {0.3}
    assert {part.dropout.p for part in parts(model, FeedForward)} == {0.4}


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("sinusoids", ["interleaved", "halves"])
def test_scale_and_sinusoids_reach_both_embeddings(scaled: bool, sinusoids: str) -> None:
    model = make(scale_embeddings=scaled, sinusoids=sinusoids)
    factor = math.sqrt(8) if scaled else 1
    ids, positions = torch.tensor([1, 2, 3]), torch.tensor([0, 4, 1])
    for part in (model.source_embeddings, model.target_embeddings):
        expected = part.token.weight[ids] * factor + sinusoidal_table(5, 8, sinusoids)[positions]
        torch.testing.assert_close(part(ids, positions), expected)


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("positions", ["sinusoidal", "rotary"])
def test_gate_and_rotary_positions_reach_every_block(gated: bool, positions: str) -> None:
    model = make(gated=gated, positions=positions)
    assert {part.gate is not None for part in parts(model, FeedForward)} == {gated}
    for block in [*model.encoder_blocks, *model.decoder_blocks]:
        assert (block.attention.rotary is not None) == (positions == "rotary")
    assert (model.source_embeddings.position is None) == (positions == "rotary")
    # Either way a model knows the order of its source.
    ids, source, *target = batch()
    ids[:2] = torch.tensor([3, 4])
    swapped = torch.cat([ids[:2].flip(0), ids[2:]])
    assert (model(ids, source, *target) - model(swapped, source, *target)).abs().max() > 1e-4


def test_one_block_for_all_layers_needs_its_norms_behind_it():
    with pytest.raises(ValueError, match="share_blocks needs norm post"):
        tiny.encoder_config(share_blocks=True, norm="pre")
