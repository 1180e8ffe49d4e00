"""A translation that starts from nothing."""

import torch

from lowkey.experiments.new_model import new_transformer
from lowkey.models.config import TransformerConfig


def test_first_weights_follow_from_the_seed_and_leave_the_global_state_alone():
    config = TransformerConfig(
        source_vocab_size=5,
        target_vocab_size=5,
        d_model=8,
        num_heads=2,
        d_ff=8,
        num_encoder_layers=1,
        num_decoder_layers=1,
    )
    before = torch.random.get_rng_state()
    states = [new_transformer(config, seed).state_dict() for seed in (1, 1, 2)]
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(
        states[0]["target_embeddings.token.weight"], states[2]["target_embeddings.token.weight"]
    )
