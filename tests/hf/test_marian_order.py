"""The same model with its features in Marian's order."""

import pytest
import tiny
import torch

from lowkey.hf.marian_order import in_halves
from lowkey.models.config import TransformerConfig
from lowkey.models.transformer import Transformer
from lowkey.nn.layout import SequenceLayout


def random_model(**changes) -> Transformer:
    sizes = {
        "source_vocab_size": 19,
        "target_vocab_size": 19,
        "d_model": 12,
        "num_heads": 3,
        "num_encoder_layers": 2,
        "num_decoder_layers": 2,
        "d_ff": 20,
    }
    model = Transformer(TransformerConfig(**sizes | changes))
    tiny.randomise(model, seed=3)
    return model.eval()


def logits(model: Transformer) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    sources, targets = SequenceLayout([5, 70, 1]), SequenceLayout([3, 2, 66])
    draw = lambda count: torch.randint(19, (count,), generator=generator)  # noqa: E731
    with torch.no_grad():
        return model(draw(76), sources, draw(71), targets)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tie_embeddings": False, "output_bias": True},
        {"share_embeddings": True},
        {"norm": "pre", "gated": True, "scale_embeddings": False},
        {"decoder_num_heads": 2, "decoder_d_ff": 8, "activation": "gelu"},
    ],
)
def test_a_reordered_model_computes_the_same(changes):
    model = random_model(**changes)
    if model.config.norm == "pre":
        # The last normalisation belongs to no block, and is reordered too.
        assert isinstance(model.decoder_norm, torch.nn.LayerNorm)
    before = {name: p.clone() for name, p in model.named_parameters()}
    other = in_halves(model)
    assert other.config.sinusoids == "halves"
    torch.testing.assert_close(logits(other), logits(model), atol=1e-5, rtol=1e-5)
    assert all(torch.equal(before[name], p) for name, p in model.named_parameters())


def test_one_weight_that_is_left_out_is_noticed(monkeypatch):
    model = random_model()
    monkeypatch.setattr("lowkey.hf.marian_order._WRITE", ("out",))
    assert (logits(in_halves(model)) - logits(model)).abs().max() > 1e-2


def test_the_order_of_the_sinusoids_matters():
    model = random_model()
    config = model.config.model_copy(update={"sinusoids": "halves"})
    other = Transformer(config).eval()
    other.load_state_dict(model.state_dict())
    assert (logits(other) - logits(model)).abs().max() > 1e-2
