"""Cross-entropy with label smoothing (Szegedy et al., 2016; Vaswani et al., 2017, section 5.4)."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Rows are taken in blocks of about this many logits, so that the intermediate values stay in the
# cache of the processor, which one large softmax over a vocabulary leaves.
_BLOCK = 1 << 20


def label_smoothed_cross_entropy(
    logits: Float[Tensor, "tokens vocab"], targets: Int[Tensor, " tokens"], smoothing: float = 0.0
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    r"""Sums the cross-entropy between smoothed targets and the model over all tokens.

    Against a target that keeps :math:`1 - \epsilon` for the right token :math:`t` and spreads
    :math:`\epsilon` evenly over all :math:`V` tokens, one row costs

    .. math:: -(1 - \epsilon) \log p_t - \frac{\epsilon}{V} \sum_v \log p_v

    so the smoothed target itself is never built. Whatever the precision of the logits, the
    probabilities are computed in fp32 (fp64 for fp64), block by block; nothing of the size of
    the logits is kept for the gradient but the logits.

    Args:
        logits: Unnormalised log-probabilities.
        targets: The right token of each row, in [0, vocab).
        smoothing: The share :math:`\epsilon`, in [0, 1).

    Returns:
        The smoothed loss, which has a gradient, and the plain negative log-likelihood (the same
        with :math:`\epsilon = 0`), which has none and is what perplexity is made of. Both sums.

    Example:
        >>> loss, nll = label_smoothed_cross_entropy(torch.zeros(3, 4), torch.tensor([0, 1, 3]))
        >>> float(loss) == float(nll) == float(3 * torch.log(torch.tensor(4.0)))
        True
    """
    return _LabelSmoothedCrossEntropy.apply(logits, targets, smoothing)


def _blocks(logits: Tensor) -> list[slice]:
    """Cuts the rows into blocks."""
    rows = max(1, _BLOCK // max(1, logits.shape[1]))
    return [slice(start, start + rows) for start in range(0, len(logits), rows)]


class _LabelSmoothedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, smoothing: float) -> Any:
        precision = torch.promote_types(logits.dtype, torch.float32)
        nll = torch.empty(len(logits), dtype=precision, device=logits.device)
        uniform = torch.zeros_like(nll)  # cross-entropy against the uniform distribution
        for rows in _blocks(logits):
            log_p = torch.log_softmax(logits[rows], dim=-1, dtype=precision)
            nll[rows] = log_p.gather(1, targets[rows, None]).squeeze(1).neg_()
            if smoothing:
                uniform[rows] = log_p.mean(dim=-1).neg_()
        ctx.save_for_backward(logits, targets)
        ctx.smoothing = smoothing
        nll_sum = nll.sum()
        ctx.mark_non_differentiable(nll_sum)
        loss = torch.lerp(nll, uniform, smoothing) if smoothing else nll
        return loss.sum(), nll_sum

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        logits, targets = ctx.saved_tensors
        precision = torch.promote_types(logits.dtype, torch.float32)
        grad = torch.empty_like(logits)
        right = torch.full((len(logits), 1), ctx.smoothing - 1, dtype=precision, device=grad.device)
        for rows in _blocks(logits):
            p = torch.softmax(logits[rows], dim=-1, dtype=precision)
            p.sub_(ctx.smoothing / logits.shape[1])
            p.scatter_add_(1, targets[rows, None], right[rows])
            grad[rows] = p.mul_(grad_outputs[0])
        return grad, None, None
