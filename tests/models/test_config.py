"""Sizes that cannot be are refused with the way out."""

import pytest
from pydantic import ValidationError

from lowkey.models.config import EncoderConfig, TransformerConfig

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
