r"""How an update begins, so that the model first computes what its base does.

Either :math:`B A` is zero, or, in PiSSA, it is taken out of the weight beforehand.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lowkey.lora.config import LoRAConfig


@torch.no_grad()
def start_update(
    a: Float[Tensor, "rank in_features"],
    b: Float[Tensor, "out rank"],
    config: LoRAConfig,
    generator: torch.Generator | None = None,
) -> None:
    r"""Draws an update that is zero.

    By default A is drawn as torch draws a linear map, or with ``gaussian`` from a normal
    distribution of deviation 1 / r, and B is zero. With ``orthogonal`` neither is: the columns of
    :math:`B^\top` and of A lie in two halves of the rank's space that are orthogonal to each other.

    Args:
        a: What the update reads; overwritten.
        b: What it writes; overwritten.
        config: ``init_lora_weights``, other than ``pissa``.
        generator: Source of randomness; torch's global one if None.

    References:
        Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021, section 4.1.
    """
    if config.init_lora_weights == "orthogonal":
        rank, half = a.shape[0], a.shape[0] // 2
        square = a.new_empty(rank, rank).normal_(generator=generator)
        basis = torch.linalg.qr(square).Q
        # A tenth, as in PEFT.
        right = a.new_empty(half, a.shape[1]).normal_(std=0.1, generator=generator)
        left = b.new_empty(b.shape[0], half).normal_(std=0.1, generator=generator)
        a.copy_(basis[:, :half] @ right)
        b.copy_(left @ basis[:, half:].T)
        return
    if config.init_lora_weights == "gaussian":
        a.normal_(std=1 / a.shape[0], generator=generator)
    else:
        nn.init.kaiming_uniform_(a, a=5**0.5, generator=generator)
    b.zero_()


@torch.no_grad()
def principal_factors(
    weight: Float[Tensor, "out in_features"], rank: int, scaling: float
) -> tuple[Float[Tensor, "rank in_features"], Float[Tensor, "out rank"]]:
    r"""Factors the part of a weight that is largest: its first singular values and vectors.

    With :math:`W = U \Sigma V^\top`, cut at the rank, and s the scale of the update:

    .. math:: A = \sqrt{\Sigma / s}\, V^\top, \qquad B = U \sqrt{\Sigma / s},
        \qquad s B A = U \Sigma V^\top

    Args:
        weight: The weight.
        rank: How many singular values, at most the smaller side of the weight.
        scaling: The factor s in front of B A, above 0.

    Returns:
        A and B, in fp32.

    References:
        Meng et al., "PiSSA: Principal Singular Values and Singular Vectors Adaptation of Large
        Language Models", 2024, equations 2 and 3.

    Example:
        >>> weight = torch.diag(torch.tensor([1.0, 4.0, 2.0]))
        >>> a, b = principal_factors(weight, rank=2, scaling=1.0)
        >>> [round(value, 4) + 0.0 for value in (b @ a).diag().tolist()]
        [0.0, 4.0, 2.0]
    """
    left, values, right = torch.linalg.svd(weight.float(), full_matrices=False)
    roots = (values[:rank] / scaling).sqrt()
    return roots[:, None] * right[:rank], left[:, :rank] * roots
