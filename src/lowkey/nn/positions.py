"""How a model knows the order of tokens: sinusoidal, learned, rotary or relative positions."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lowkey.nn.linear import Embedding


def sinusoidal_table(
    num_positions: int, d_model: int, sinusoids: str = "interleaved"
) -> Float[Tensor, "num_positions d_model"]:
    r"""Computes the positional encoding of the Transformer.

    .. math:: PE_{p, 2i} = \sin(p / 10000^{2i / d}), \qquad
              PE_{p, 2i + 1} = \cos(p / 10000^{2i / d})

    For any offset k, :math:`PE_{p + k}` is a rotation of :math:`PE_p` that depends on k alone.

    Args:
        num_positions: Number of positions, from 0.
        d_model: Width, an even number of features.
        sinusoids: "interleaved" is the formula; "halves" puts all sines first and all cosines
            behind them, as Marian does.

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
    angles = _angles(num_positions, d_model)
    axis = -1 if sinusoids == "interleaved" else 1
    return torch.stack([angles.sin(), angles.cos()], dim=axis).flatten(1).float()


def _angles(
    num_positions: int, width: int, base: float = 10_000.0
) -> Float[Tensor, "num_positions pairs"]:
    """Computes the angle of each pair of features at each position.

    In float64: an angle of some thousands leaves fp32 too few digits for its sine. On the CPU even
    where a model is laid out on the meta device: no file will bring the tables that follow from it.
    """
    positions = torch.arange(num_positions, dtype=torch.float64, device="cpu").unsqueeze(1)
    pairs = torch.arange(0, width, 2, dtype=torch.float64, device="cpu")
    return positions * torch.exp(pairs * (-math.log(base) / width))


class SinusoidalPositions(nn.Module):
    """Looks up rows of ``sinusoidal_table``, which grows as longer sentences come.

    Args:
        d_model: Width, an even number of features.
        sinusoids: Their order in a row; see ``sinusoidal_table``.
    """

    table: Tensor

    def __init__(self, d_model: int, sinusoids: str = "interleaved"):
        super().__init__()
        self.d_model = d_model
        self.sinusoids = sinusoids
        # Not persistent: it follows from d_model and must not travel in a checkpoint.
        table = sinusoidal_table(64, d_model, sinusoids)
        self.register_buffer("table", table, persistent=False)

    def forward(
        self, positions: Int[Tensor, " tokens"], num_positions: int | None = None
    ) -> Float[Tensor, "tokens d_model"]:
        """Gives the encoding of each position.

        Args:
            positions: Positions, from 0.
            num_positions: More than the largest of them; None asks them, which stalls a GPU.

        Returns:
            One row per token.
        """
        needed = int(positions.max()) + 1 if num_positions is None else num_positions
        if needed > len(self.table):
            table = sinusoidal_table(2 * needed, self.d_model, self.sinusoids)
            self.table = table.to(self.table.device, self.table.dtype)
        return self.table[positions]


class LearnedPositions(Embedding):
    """One trained vector per position, as in BERT; there is none beyond ``num_embeddings``."""


class RotaryPositions(nn.Module):
    r"""Turns queries and keys, pair of features by pair, by an angle that grows with the position.

    At position :math:`p` the pair :math:`(x_{2i}, x_{2i+1})` of each head is rotated by
    :math:`p / \text{base}^{2i / d_\text{head}}`. The product of a query and a key then depends on
    how far apart they stand, and not on where.

    Args:
        d_head: Width of one head, an even number of features.
        base: The base of the angles, 10000 in the paper; larger ones turn more slowly and tell
            places apart that are further from each other.
        pairs: "neighbours" is the formula; "halves" pairs each feature of the first half of a head
            with its counterpart in the second, as the models on the Hugging Face Hub do.

    Raises:
        ValueError: If ``d_head`` is odd.

    References:
        Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021,
        section 3.2.2, equation 15.
    """

    cosines: Tensor
    sines: Tensor

    def __init__(self, d_head: int, base: float = 10_000.0, pairs: str = "neighbours"):
        super().__init__()
        if d_head % 2:
            raise ValueError(f"rotary positions need an even number of features a head: {d_head}")
        self.d_head = d_head
        self.base = base
        self.pairs = pairs
        cosines, sines = self._tables(64)
        self.register_buffer("cosines", cosines, persistent=False)
        self.register_buffer("sines", sines, persistent=False)

    def _tables(self, num_positions: int) -> tuple[Tensor, Tensor]:
        angles = _angles(num_positions, self.d_head, self.base)
        return angles.cos().float(), angles.sin().float()

    def forward(
        self,
        x: Float[Tensor, "tokens d_model"],
        positions: Int[Tensor, " tokens"],
        num_positions: int,
    ) -> Float[Tensor, "tokens d_model"]:
        """Turns each token by its position.

        Args:
            x: Queries or keys, heads side by side.
            positions: Positions, from 0.
            num_positions: More than the largest of them. Every layer turns, and asking a GPU for
                the largest would stall it each time.

        Returns:
            The same vectors, turned; in the precision of ``x``, of the same length.
        """
        if num_positions > len(self.cosines):
            like = self.cosines
            self.cosines, self.sines = (t.to(like) for t in self._tables(2 * num_positions))
        cosines, sines = (t[positions].unsqueeze(1) for t in (self.cosines, self.sines))
        # The tables are fp32 and so are the products; bf16 is rounded once, at the end.
        pairs, axis = ((-1, 2), -1) if self.pairs == "neighbours" else ((2, -1), -2)
        one, other = x.unflatten(-1, (-1, self.d_head)).unflatten(-1, pairs).unbind(axis)
        turned = [one * cosines - other * sines, one * sines + other * cosines]
        return torch.stack(turned, dim=axis).flatten(1).to(x.dtype)


class RelativeBias(nn.Module):
    r"""What each head adds to a score for how far the key stands from the query.

    Near distances have a number of their own each, farther ones share one in steps that grow by
    their logarithm, those beyond 128 tokens share the last; half of the numbers are for keys before
    the query, half for keys behind it.

    Args:
        num_buckets: Numbers of a head, a multiple of 4.
        num_heads: Number of heads.

    References:
        Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text
        Transformer", 2020, section 2.1.

    Example:
        >>> RelativeBias(32, num_heads=2)(num_positions=5).shape
        torch.Size([2, 9])
    """

    def __init__(self, num_buckets: int, num_heads: int):
        super().__init__()
        self.table = Embedding(num_buckets, num_heads)

    def forward(self, num_positions: int) -> Float[Tensor, "heads distances"]:
        """Gives the bias of each distance.

        Args:
            num_positions: Tokens of the longest sentence.

        Returns:
            A column for each distance from ``-(num_positions - 1)``, a key before the query, to
            ``num_positions - 1``.
        """
        distances = torch.arange(1 - num_positions, num_positions)
        buckets = relative_buckets(distances, self.table.num_embeddings)
        return self.table(buckets.to(self.table.weight.device)).t()


_FARTHEST = 128
"""The distance from which on all share the last bucket, as in the published models."""


def relative_buckets(
    distances: Int[Tensor, " distances"], num_buckets: int
) -> Int[Tensor, " distances"]:
    """Sorts distances into buckets.

    Args:
        distances: How far keys stand behind the query; negative before it.
        num_buckets: Number of buckets, a multiple of 4.

    Returns:
        The bucket of each, from 0.

    Example:
        >>> relative_buckets(torch.tensor([-200, -9, -1, 0, 1, 9, 200]), 32).tolist()
        [15, 8, 1, 0, 17, 24, 31]
    """
    half, exact = num_buckets // 2, num_buckets // 4
    far = distances.abs()
    # In fp32, and in this order: published models were trained with what it rounds to.
    steps = torch.log(far.clamp_min(1).float() / exact) / math.log(_FARTHEST / exact)
    shared = (exact + (steps * (half - exact)).long()).clamp_max(half - 1)
    return torch.where(far < exact, far, shared) + half * (distances > 0)
