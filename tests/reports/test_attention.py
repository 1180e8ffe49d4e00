import numpy as np
import pytest
import tiny
import torch
from torch import Tensor, nn

from lowkey.models.encoder import Encoder
from lowkey.nn.attention import MultiHeadAttention
from lowkey.nn.layout import SequenceLayout
from lowkey.reports.attention import attention_maps, collect_attention


class TwoAttentions(nn.Module):
    """Looks at itself, then at a memory, as a decoder block does."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(8, 2)
        self.cross_attention = MultiHeadAttention(8, 4, dropout=0.5)

    def forward(
        self, x: Tensor, layout: SequenceLayout, memory: Tensor, memory_layout: SequenceLayout
    ) -> Tensor:
        x = x + self.attention(x, layout, causal=True)
        return self.cross_attention(x, layout, memory=memory, memory_layout=memory_layout)


@pytest.fixture
def model() -> TwoAttentions:
    torch.manual_seed(0)
    return TwoAttentions().eval()


LAYOUT, MEMORY_LAYOUT = SequenceLayout([3, 2]), SequenceLayout([4, 1])
X, MEMORY = (
    torch.randn(5, 8, generator=torch.Generator().manual_seed(1)),
    torch.ones(5, 8).cumsum(0),
)


def test_the_weights_are_those_of_a_direct_call(model: TwoAttentions) -> None:
    plain = model(X, LAYOUT, MEMORY, MEMORY_LAYOUT)
    with collect_attention(model) as weights:
        watched = model(X, LAYOUT, MEMORY, MEMORY_LAYOUT)
    torch.testing.assert_close(watched, plain, rtol=0, atol=0)
    assert list(weights) == ["attention", "cross_attention"]
    hidden = X + model.attention(X, LAYOUT, causal=True)
    expected = {
        "attention": model.attention.weights(X, LAYOUT, causal=True),
        "cross_attention": model.cross_attention.weights(hidden, LAYOUT, MEMORY, MEMORY_LAYOUT),
    }
    for name, sentences in expected.items():
        for recorded, direct in zip(weights[name], sentences, strict=True):
            torch.testing.assert_close(recorded, direct.detach(), rtol=0, atol=0)
            assert not recorded.requires_grad
    assert [w.shape for w in weights["cross_attention"]] == [(4, 3, 4), (4, 2, 1)]
    # Against a formula rather than our own code: causal rows see no later token and sum to one.
    first = weights["attention"][0]
    assert torch.equal(first.triu(diagonal=1), torch.zeros(2, 3, 3))
    torch.testing.assert_close(first.sum(-1), torch.ones(2, 3), rtol=0, atol=1e-5)


def test_later_passes_are_appended_and_nothing_stays_behind(model: TwoAttentions) -> None:
    with collect_attention(model) as weights:
        model(X, LAYOUT, MEMORY, MEMORY_LAYOUT)
        model(X, LAYOUT, MEMORY, MEMORY_LAYOUT)
    assert len(weights["attention"]) == 4
    model(X, LAYOUT, MEMORY, MEMORY_LAYOUT)
    assert len(weights["attention"]) == 4
    assert not model.attention._forward_pre_hooks


def test_hooks_are_removed_when_the_model_fails(model: TwoAttentions) -> None:
    with pytest.raises(RuntimeError, match="planted"), collect_attention(model):
        raise RuntimeError("planted")
    assert not model.cross_attention._forward_pre_hooks


def test_training_with_dropout_is_watched_without_dropout(model: TwoAttentions) -> None:
    with collect_attention(model.train()) as weights:
        model(X, LAYOUT, MEMORY, MEMORY_LAYOUT).sum().backward()
    rows = weights["cross_attention"][0].sum(-1)
    torch.testing.assert_close(rows, torch.ones_like(rows), rtol=0, atol=1e-5)
    assert model.attention.query.weight.grad is not None


def test_a_cache_is_refused() -> None:
    from lowkey.reports.attention import _recorder

    with pytest.raises(ValueError, match=r"block\.attention: .* with a cache"):
        _recorder("block.attention", {}, 1)(
            MultiHeadAttention(8, 2), (X, LAYOUT), {"cache": object()}
        )


def test_maps_carry_the_tokens_of_the_chosen_sentence(model: TwoAttentions) -> None:
    with collect_attention(model) as weights:
        model(X, LAYOUT, MEMORY, MEMORY_LAYOUT)
    tokens = {"attention": (["x", "y"], ["x", "y"]), "cross_attention": (["x", "y"], ["m"])}
    own, cross = attention_maps(weights, tokens.__getitem__, sentence=1)
    assert (own.name, cross.name, list(cross.keys)) == ("attention", "cross_attention", ["m"])
    np.testing.assert_array_equal(cross.weights, weights["cross_attention"][1].numpy())
    with pytest.raises(ValueError, match="attention: weights of shape"):
        attention_maps(weights, tokens.__getitem__, sentence=0)


def test_a_block_that_is_passed_again_and_again_has_a_map_for_each_time() -> None:
    config = tiny.encoder_config(num_layers=3, share_blocks=True)
    encoder = Encoder(config).eval()
    tiny.randomise(encoder, seed=3, std=0.5)
    ids, layout = torch.tensor([3, 4, 5, 6, 7]), SequenceLayout([3, 2])
    with collect_attention(encoder) as weights, torch.no_grad():
        encoder(ids, layout)
        encoder(ids.flip(0), layout)
    assert list(weights) == [f"blocks.{i}.attention" for i in range(3)]
    assert [len(found) for found in weights.values()] == [4, 4, 4]
    # By hand: what the block looks at when it gets what it made before.
    hidden = encoder.embeddings(ids, layout.positions)
    for i in range(3):
        (block,) = encoder.blocks
        expected = block.attention.weights(hidden, layout)
        for one, own in zip(expected, weights[f"blocks.{i}.attention"][:2], strict=True):
            torch.testing.assert_close(own, one, atol=1e-6, rtol=1e-5)
        hidden = block(hidden, layout, None)
