"""The position-wise feed-forward network (Vaswani et al., 2017, section 3.3)."""

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lowkey.nn.dropout import Dropout
from lowkey.nn.linear import Linear

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    # The tanh approximation: not interchangeable, it differs by up to 4.7e-4.
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "silu": F.silu,
}


class FeedForward(nn.Module):
    r"""Widens each token, applies a non-linearity, and narrows it again.

    .. math:: \mathrm{FFN}(x) = \mathrm{activation}(x W_\text{up} + b_\text{up}) W_\text{down}
              + b_\text{down}

    Gated, a second map decides feature by feature how much of the first passes (with ``silu``
    this is SwiGLU, with ``gelu`` GEGLU):

    .. math:: \mathrm{FFN}(x) = (\mathrm{activation}(x W_\text{gate} + b_\text{gate}) \odot
              (x W_\text{up} + b_\text{up})) W_\text{down} + b_\text{down}

    Args:
        d_model: Width of input and output.
        d_ff: Width between them.
        activation: A key of ``ACTIVATIONS``.
        gated: Whether a second map gates the first.
        bias: Whether the maps have a bias.
        dropout: Probability that one of the ``d_ff`` features is dropped in training.

    Raises:
        ValueError: If the activation is not known.

    References:
        Vaswani et al., "Attention Is All You Need", 2017, equation 2.
        Shazeer, "GLU Variants Improve Transformer", 2020, equation 6.
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        activation: str = "relu",
        *,
        gated: bool = False,
        bias: bool = True,
        dropout: float = 0.0,
    ):
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"no activation {activation!r}; there are {', '.join(ACTIVATIONS)}")
        self.up = Linear(d_model, d_ff, bias=bias)
        self.gate = Linear(d_model, d_ff, bias=bias) if gated else None
        self.down = Linear(d_ff, d_model, bias=bias)
        self.activation = ACTIVATIONS[activation]
        self.dropout = Dropout(dropout)

    def forward(self, x: Float[Tensor, "tokens d_model"]) -> Float[Tensor, "tokens d_model"]:
        """Maps each token by itself.

        Args:
            x: Tokens.

        Returns:
            As many tokens.
        """
        if self.gate is None:
            hidden = self.activation(self.up(x))
        else:
            hidden = self.activation(self.gate(x)) * self.up(x)
        return self.down(self.dropout(hidden))
