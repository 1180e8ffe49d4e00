"""What transformers calls the non-linearities that lowkey has."""

from typing import Literal

from lowkey.models.config import Activation

Theirs = Literal["gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish"]

ACTIVATIONS: dict[str, Activation] = {
    "gelu": "gelu",
    "gelu_new": "gelu_new",
    "gelu_pytorch_tanh": "gelu_new",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
"""Our name of each of theirs."""
