"""Small Transformers, as the paper has them and with everything that came later."""

import torch
from torch import nn

from lowkey.models.config import TransformerConfig
from lowkey.models.transformer import Transformer
from lowkey.nn.layout import SequenceLayout

MODERN = {
    "norm": "pre",
    "positions": "rotary",
    "activation": "silu",
    "gated": True,
    "decoder_num_heads": 4,
    "decoder_d_ff": 12,
    "output_bias": True,
    "dropout": 0.0,
    "attention_dropout": 0.0,
}
MARIAN = {
    "sinusoids": "halves",
    "scale_embeddings": False,
    "output_bias": True,
    "share_embeddings": True,
    "source_vocab_size": 11,
}


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
