"""How the score of a hypothesis makes up for its length."""

from typing import Literal, TypeVar

from torch import Tensor

PenaltyKind = Literal["average", "gnmt"]
Length = TypeVar("Length", int, float, Tensor)


def length_penalty(length: Length, exponent: float, kind: PenaltyKind = "average") -> Length:
    r"""Computes what a sum of log probabilities is divided by.

    For a hypothesis of :math:`n` tokens and the exponent :math:`\alpha`

    .. math:: n^\alpha \quad (\text{average}) \qquad \left(\frac{5 + n}{6}\right)^\alpha
              \quad (\text{gnmt})

    Args:
        length: Tokens of each hypothesis, the end token included, at least 1.
        exponent: Above 0 favours long hypotheses, below 0 short ones; 0 divides by 1.
        kind: "average" or "gnmt".

    Returns:
        The divisors.

    References:
        Wu et al., "Google's Neural Machine Translation System", 2016, arXiv:1609.08144,
        equation 14 (its coverage penalty is left out).

    Example:
        >>> length_penalty(7, 1.0), length_penalty(7, 1.0, "gnmt")
        (7.0, 2.0)
    """
    return ((5 + length) / 6 if kind == "gnmt" else length * 1.0) ** exponent
