"""The physical ceiling: how fast this machine multiplies matrices of the model's shapes."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_REPEATS = 5


@dataclass(frozen=True)
class Product:
    """One linear map of a model, and how often a step multiplies with it.

    Attributes:
        inputs: Features it takes.
        outputs: Features it gives.
        count: How many such maps there are.
        trained: Whether its weight has a gradient: three products a step instead of two.
    """

    inputs: int
    outputs: int
    count: int
    trained: bool

    def flop(self, tokens: int) -> float:
        """Counts the floating-point operations of a step.

        Args:
            tokens: Rows.

        Returns:
            Multiplications and additions, forward and backward.
        """
        return 2.0 * tokens * self.inputs * self.outputs * self.count * (3 if self.trained else 2)


def products_flop(products: Sequence[Product], tokens: int) -> float:
    """Counts what the linear maps of a model have to compute in a step.

    Attention, low-rank updates and everything else is left out: it is work a faster program could
    do away with, while these products must be made.

    Args:
        products: The linear maps.
        tokens: Real tokens.

    Returns:
        Floating-point operations, forward and backward.
    """
    return sum(product.flop(tokens) for product in products)


def ceiling(
    products: Sequence[Product], tokens: int, dtype: torch.dtype, clock: Callable[[], float]
) -> float:
    """Measures the products alone, each in the fastest way torch knows.

    Every product is timed as the plain call and as oneDNN's with the weight packed beforehand,
    and the fastest repeat of the faster way counts.

    Args:
        products: The linear maps.
        tokens: Rows.
        dtype: torch.float32 or torch.bfloat16.
        clock: What counts the seconds.

    Returns:
        Floating-point operations per second.
    """
    seconds = 0.0
    with torch.no_grad():
        for product in products:
            x = torch.randn(tokens, product.inputs).to(dtype)
            g = torch.randn(tokens, product.outputs).to(dtype)
            weight = torch.randn(product.outputs, product.inputs).to(dtype)
            once = _fastest([*_packed(x, weight), lambda x=x, w=weight: F.linear(x, w)], clock)
            once += _fastest(
                [*_packed(g, weight.t().contiguous()), lambda g=g, w=weight: g @ w], clock
            )
            if product.trained:
                once += _fastest([lambda g=g, x=x: g.t() @ x, *_unpacked(g.t(), x.t())], clock)
            seconds += product.count * once
    return products_flop(products, tokens) / seconds


def _packed(x: Tensor, weight: Tensor) -> list[Callable[[], Tensor]]:
    """The product by oneDNN with the weight in its own layout; nothing where torch lacks it."""
    if not torch.backends.mkldnn.is_available():
        return []
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, len(x))
    except (AttributeError, RuntimeError):  # a private operator: not in every build of torch
        return []
    return [lambda: torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")]


def _unpacked(x: Tensor, weight: Tensor) -> list[Callable[[], Tensor]]:
    """The product by oneDNN as the operands lie; nothing where torch lacks it."""
    if not torch.backends.mkldnn.is_available():
        return []
    return [lambda: torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")]


def _fastest(ways: Sequence[Callable[[], Tensor]], clock: Callable[[], float]) -> float:
    best = float("inf")
    for way in ways:
        way()
        for _ in range(_REPEATS):
            start = clock()
            way()
            best = min(best, clock() - start)
    return best


def process_clock() -> float:
    """Reads the CPU seconds of this process.

    Returns:
        Seconds.
    """
    return time.process_time()


def wall_clock() -> float:
    """Reads the clock on the wall.

    Returns:
        Seconds.
    """
    return time.perf_counter()
