"""Dropout whose randomness is an argument (Srivastava et al., 2014).

Every ``Dropout`` of a model draws from one generator that the training loop seeds anew before
each micro-batch, so a mask is a function of (seed, step, micro-batch) and no random state has to be
saved. The mask is made of 16-bit lanes of random words and applied with a bitwise *and*, which on a
CPU costs far less than drawing one Bernoulli variable per element.
"""

from typing import Any

import torch
from jaxtyping import Float, Int16
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_LANES = 1 << 16
_BITS_OF = {2: torch.int16, 4: torch.int32, 8: torch.int64}


def quantised(p: float) -> float:
    """Rounds a probability to the 1/65536 that a 16-bit lane can express.

    Args:
        p: A probability, in [0, 1).

    Returns:
        The probability with which elements are really dropped.
    """
    return round(p * _LANES) / _LANES


def keep_bits(
    shape: tuple[int, ...], p: float, generator: torch.Generator | None, device: torch.device
) -> Int16[Tensor, "..."]:
    """Draws which elements survive: all bits set with probability ``1 - p``, none otherwise.

    Args:
        shape: Shape of the tensor to drop from.
        p: Probability that an element is dropped, in [0, 1).
        generator: Source of randomness; torch's global one if None.
        device: Where to draw.

    Returns:
        -1 (every bit set) for an element that stays, 0 for one that is dropped.
    """
    count = torch.Size(shape).numel()
    words = torch.empty((count + 3) // 4, dtype=torch.int64, device=device)
    words.random_(-(2**63), None, generator=generator)
    lanes = words.view(torch.int16)[:count].view(shape)
    return lanes.ge_(round(p * _LANES) - _LANES // 2).neg_()


def keep_where(
    x: Float[Tensor, "..."], keep: Int16[Tensor, "..."], p: float
) -> Float[Tensor, "..."]:
    """Zeroes what is dropped and scales the rest by ``1 / (1 - p)``.

    Args:
        x: Values.
        keep: What ``keep_bits`` drew for them.
        p: The probability it drew with.

    Returns:
        Values whose expectation is ``x``.
    """
    bits = _BITS_OF[x.element_size()]
    return (x.view(bits) & keep.to(bits)).view(x.dtype).mul_(1 / (1 - quantised(p)))


class _DropoutFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float, generator: torch.Generator | None) -> Tensor:
        x = x.contiguous()
        keep = keep_bits(tuple(x.shape), p, generator, x.device)
        ctx.save_for_backward(keep)
        ctx.p = p
        return keep_where(x, keep, p)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # pyrefly: ignore[bad-override] # once_differentiable forgets the name ctx
        (keep,) = ctx.saved_tensors
        return keep_where(grad_outputs[0].contiguous(), keep, ctx.p), None, None


class Dropout(nn.Module):
    """Zeroes each element with probability ``p`` in training and scales the rest.

    Args:
        p: Probability that an element is dropped, in [0, 1); rounded to 1/65536.

    Raises:
        ValueError: If ``p`` is outside [0, 1).

    References:
        Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting",
        2014, JMLR 15.
    """

    def __init__(self, p: float):
        super().__init__()
        if not 0 <= quantised(p) < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {p}")
        self.p = p
        self.generator: torch.Generator | None = None

    @property
    def rate(self) -> float:
        """The probability in force now: ``p`` in training, 0 in evaluation."""
        return self.p if self.training else 0.0

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Drops from ``x``.

        Args:
            x: Values of any shape.

        Returns:
            ``x`` itself in evaluation or when ``p`` is 0.
        """
        if not self.rate:
            return x
        return _DropoutFunction.apply(x, self.p, self.generator)  # type: ignore[no-any-return] # autograd's apply is untyped

    def extra_repr(self) -> str:
        """Shows ``p`` in the printed model."""
        return f"p={self.p}"


def set_generator(model: nn.Module, generator: torch.Generator | None) -> None:
    """Makes every dropout of a model draw from one generator.

    Args:
        model: Any module.
        generator: The source, on the model's device; None for torch's global one.
    """
    for module in model.modules():
        if isinstance(module, Dropout):
            module.generator = generator
