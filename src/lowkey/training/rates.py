"""Parts of a model that learn at rates of their own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Rate:
    """How fast a part of a model learns.

    Attributes:
        part: What people call the part.
        factor: Its learning rate, in units of the recipe's.
    """

    part: str = "all"
    factor: float = 1.0


RateOf = Callable[[str], Rate]
"""Tells the rate of a parameter by its full name."""


def one_rate(name: str) -> Rate:
    """Lets everything learn at the recipe's rate.

    Args:
        name: Full name of a parameter.

    Returns:
        The rate.
    """
    return Rate()


def rates_by_ending(factors: Mapping[str, float]) -> RateOf:
    """Lets some parameters learn faster or slower.

    Args:
        factors: Factors of the learning rate, by what the names of parameters end in.

    Returns:
        The rate of each name; the first ending that fits holds, and 1 where none does.

    Example:
        >>> rates_by_ending({"lora_B.weight": 16.0})("blocks.0.attention.query.lora_B.weight")
        Rate(part='lora_B.weight', factor=16.0)
    """

    def rate(name: str) -> Rate:
        ending = next((ending for ending in factors if name.endswith(ending)), None)
        return Rate() if ending is None else Rate(ending, factors[ending])

    return rate


def rate_lines(
    parameters: Mapping[str, nn.Parameter], rate_of: RateOf, learning_rate: float
) -> list[str]:
    """Writes the learning rates of a run for people.

    Args:
        parameters: The trained parameters by name.
        rate_of: Their rates.
        learning_rate: The rate of the recipe.

    Returns:
        A line for each part, the fastest first; none where all learn at one rate.
    """
    sizes: dict[Rate, int] = {}
    for name, parameter in parameters.items():
        rate = rate_of(name)
        sizes[rate] = sizes.get(rate, 0) + parameter.numel()
    if len({rate.factor for rate in sizes}) == 1:
        return []
    order = sorted(sizes, key=lambda rate: (-rate.factor, rate.part))
    return [
        f"learning rate {learning_rate * rate.factor:.3g}: {rate.part}, {sizes[rate]:,} parameters"
        for rate in order
    ]
