"""Embeddings: the scale that the paper asks for, and what BERT adds up."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lowkey.nn.embeddings import EncoderEmbeddings, TransformerEmbeddings, tied_logits
from lowkey.nn.positions import sinusoidal_table


def test_tokens_are_scaled_by_the_square_root_of_the_width() -> None:
    token = nn.Embedding(11, 16)
    embeddings = TransformerEmbeddings(token, "sinusoidal", 1, 0.0)
    ids, positions = torch.tensor([3, 3, 9]), torch.tensor([0, 5, 1])
    expected = token.weight[ids] * 4 + sinusoidal_table(6, 16)[positions]
    torch.testing.assert_close(embeddings(ids, positions), expected)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "rotary", "halves"])
def test_scale_and_positions_are_two_choices(scaled: bool, positions: str) -> None:
    token = nn.Embedding(11, 16)
    kind, order = ("sinusoidal", "halves") if positions == "halves" else (positions, "interleaved")
    embeddings = TransformerEmbeddings(token, kind, 9, 0.0, scaled=scaled, sinusoids=order)
    ids, places = torch.tensor([3, 3, 9]), torch.tensor([0, 5, 1])
    added = torch.zeros(9, 16)  # rotary adds nothing: attention turns instead
    if kind == "learned":
        added = embeddings.position.weight
    elif kind == "sinusoidal":
        added = sinusoidal_table(9, 16, order)
    expected = token.weight[ids] * (4 if scaled else 1) + added[places]
    torch.testing.assert_close(embeddings(ids, places), expected)


def test_dropout_falls_on_the_sum_of_token_and_position() -> None:
    token = nn.Embedding(3, 16)
    nn.init.ones_(token.weight)
    embeddings = TransformerEmbeddings(token, "sinusoidal", 1, 0.25, scaled=False)
    embeddings.dropout.generator = torch.Generator().manual_seed(0)
    ids, positions = torch.zeros(4000, dtype=torch.int64), torch.arange(4000) % 50
    kept = 1 + sinusoidal_table(50, 16)[positions]  # 0 nowhere but where a wave is at its lowest
    found = embeddings.train()(ids, positions)
    dropped = (found == 0) & (kept != 0)
    assert dropped.float().mean().item() == pytest.approx(0.25, abs=0.02)
    torch.testing.assert_close(found[~dropped], kept[~dropped] / 0.75)


def test_the_scale_brings_tokens_and_positions_to_one_size() -> None:
    d_model = 256
    token = nn.Embedding(500, d_model)
    nn.init.normal_(token.weight, std=d_model**-0.5)
    scaled = (token.weight * math.sqrt(d_model)).norm(dim=1).mean()
    position = sinusoidal_table(100, d_model).norm(dim=1).mean()
    assert 0.5 < position / scaled < 2
    assert position / token.weight.norm(dim=1).mean() > 10  # without it positions drown tokens


def test_bert_sums_three_tables_and_normalises() -> None:
    torch.manual_seed(0)
    embeddings = EncoderEmbeddings(20, 8, 10, 2, 1e-12, 0.0)
    ids, positions = torch.tensor([4, 5, 6]), torch.tensor([0, 1, 0])
    segments = torch.tensor([0, 1, 1])
    total = (
        embeddings.token.weight[ids]
        + embeddings.position.weight[positions]
        + embeddings.segment.weight[segments]
    )
    expected = F.layer_norm(total, (8,), eps=1e-12)
    torch.testing.assert_close(embeddings(ids, positions, segments), expected)
    first = embeddings(ids, positions, torch.zeros(3, dtype=torch.int64))
    torch.testing.assert_close(embeddings(ids, positions), first)


def test_tied_logits_are_products_with_the_table() -> None:
    token = nn.Embedding(7, 5)
    x = torch.randn(3, 5)
    torch.testing.assert_close(tied_logits(x, token), x @ token.weight.T)
