"""How a model knows the order of its tokens: sinusoidal (fixed) or learned positions."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lowkey.nn.linear import Embedding


def sinusoidal_table(num_positions: int, d_model: int) -> Float[Tensor, "num_positions d_model"]:
    r"""Computes the positional encoding of the Transformer.

    .. math:: PE_{p, 2i} = \sin(p / 10000^{2i / d}), \qquad
              PE_{p, 2i + 1} = \cos(p / 10000^{2i / d})

    For any offset k, :math:`PE_{p + k}` is a rotation of :math:`PE_p` that depends on k alone.

    Args:
        num_positions: Number of positions, from 0.
        d_model: Width, an even number of features.

    Returns:
        One row per position, in fp32, every row of length sqrt(d_model / 2).

    Raises:
        ValueError: If ``d_model`` is odd.

    References:
        Vaswani et al., "Attention Is All You Need", 2017, section 3.5.

    Example:
        >>> sinusoidal_table(1, 4).tolist()
        [[0.0, 1.0, 0.0, 1.0]]
    """
    if d_model % 2:
        raise ValueError(f"sinusoidal positions need an even d_model, got {d_model}")
    # In float64: an angle of some thousands leaves fp32 too few digits for its sine.
    positions = torch.arange(num_positions, dtype=torch.float64).unsqueeze(1)
    pairs = torch.arange(0, d_model, 2, dtype=torch.float64)
    angles = positions * torch.exp(pairs * (-math.log(10_000.0) / d_model))
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).float()


class SinusoidalPositions(nn.Module):
    """Looks up rows of ``sinusoidal_table``, which grows as longer sentences come.

    Args:
        d_model: Width, an even number of features.
    """

    table: Tensor

    def __init__(self, d_model: int):
        super().__init__()
        self.d_model = d_model
        # Not persistent: it follows from d_model and must not travel in a checkpoint.
        self.register_buffer("table", sinusoidal_table(64, d_model), persistent=False)

    def forward(self, positions: Int[Tensor, " tokens"]) -> Float[Tensor, "tokens d_model"]:
        """Gives the encoding of each position.

        Args:
            positions: Positions, from 0.

        Returns:
            One row per token.
        """
        needed = int(positions.max()) + 1
        if needed > len(self.table):
            table = sinusoidal_table(2 * needed, self.d_model)
            self.table = table.to(self.table.device, self.table.dtype)
        return self.table[positions]


class LearnedPositions(Embedding):
    """One trained vector per position, as in BERT; there is none beyond ``num_embeddings``."""
