"""Attention for groups of sentences of similar length, as batched matrix products.

Forward and backward are written out: of each group only the attention weights are kept.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lowkey.nn.dropout import keep_bits, keep_where
from lowkey.nn.groups import Group, Plan, plan_groups
from lowkey.nn.layout import SequenceLayout


def grouped(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    layout: SequenceLayout,
    memory_layout: SequenceLayout,
    *,
    num_heads: int,
    causal: bool = False,
    window: int | None = None,
    bias: Tensor | None = None,
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Computes groups of sentences of similar length; see ``AttentionKernel`` in ``kernels.py``."""
    plan = plan_groups(layout, memory_layout, num_heads, causal, window)
    attended: Tensor = _GroupedAttention.apply(q, k, v, bias, plan, dropout, generator)
    return attended


def _gather(x: Tensor, rows: Tensor, group: Group, num_heads: int) -> Tensor:
    """Brings the rows of a group into the form (sentences * heads, length, d_head)."""
    flat = x.reshape(-1, x.shape[-1] // num_heads).index_select(0, rows)
    return flat.view(group.num_sentences * num_heads, -1, flat.shape[-1])


def _added(group: Group, num_heads: int, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
    """What is added to the scores of a group: what hides keys, and the bias of each distance."""
    hidden = group.bias(num_heads, dtype)
    if bias is None:
        return hidden
    by_place = bias.to(dtype)[:, group.distances + bias.shape[1] // 2]
    return (hidden.unflatten(0, (-1, num_heads)) + by_place).flatten(0, 1)


def _add_by_distance(dbias: Tensor, dscores: Tensor, group: Group) -> None:
    """Adds the gradients of a group's scores to those of the distances they belong to."""
    summed = dscores.unflatten(0, (-1, len(dbias))).sum(0, dtype=dbias.dtype).flatten(1)
    dbias.index_add_(1, (group.distances + dbias.shape[1] // 2).flatten(), summed)


class _Scatter:
    """Collects what the groups computed, back in the order of the tokens."""

    def __init__(self, like: Tensor, num_heads: int):
        self.shape = like.shape
        # One row more than there are tokens: it receives what was computed for padding.
        self.rows = like.new_empty(like.shape[0] * num_heads + 1, like.shape[1] // num_heads)

    def put(self, rows: Tensor, x: Tensor) -> None:
        self.rows.index_copy_(0, rows, x.reshape(-1, x.shape[-1]))

    def tokens(self) -> Tensor:
        return self.rows[:-1].view(self.shape)


class _GroupedAttention(torch.autograd.Function):
    """Forward and backward written out, because autograd would keep every intermediate."""

    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        bias: Tensor | None,
        plan: Plan,
        dropout: float,
        generator: torch.Generator | None,
    ) -> Tensor:
        heads, output, saved = plan.num_heads, _Scatter(q, plan.num_heads), []
        for group in plan.groups:
            qg = _gather(q, group.query_rows, group, heads)
            kg = _gather(k, group.key_rows, group, heads)
            vg = _gather(v, group.key_rows, group, heads)
            added = _added(group, heads, bias, q.dtype)
            scores = torch.baddbmm(added, qg, kg.transpose(1, 2), alpha=qg.shape[-1] ** -0.5)
            # In fp32 also under bf16: more exact, and on CPUs faster than a bf16 softmax.
            accumulate = torch.promote_types(q.dtype, torch.float32)
            weights = torch.softmax(scores, -1, dtype=accumulate).to(q.dtype)
            keep = None
            if dropout:
                keep = keep_bits(tuple(weights.shape), dropout, generator, q.device)
            dropped = weights if keep is None else keep_where(weights, keep, dropout)
            output.put(group.query_slots, torch.bmm(dropped, vg))
            saved += [weights, keep]
        ctx.save_for_backward(q, k, v, bias, *saved)
        ctx.plan, ctx.dropout = plan, dropout
        return output.tokens()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # pyrefly: ignore[bad-override] # once_differentiable forgets the name ctx
        grad = grad_outputs[0].contiguous()
        q, k, v, bias, *saved = ctx.saved_tensors
        heads, dropout = ctx.plan.num_heads, ctx.dropout
        dq, dk, dv = (_Scatter(x, heads) for x in (q, k, v))
        dbias = torch.zeros_like(bias) if ctx.needs_input_grad[3] else None
        for index, group in enumerate(ctx.plan.groups):
            weights, keep = saved[2 * index : 2 * index + 2]
            gg = _gather(grad, group.query_rows, group, heads)
            if group.query_padding is not None:
                # Padding was gathered from some real row; its gradient must not count.
                gg.view(-1, gg.shape[-1]).index_fill_(0, group.query_padding, 0)
            dropped = weights if keep is None else keep_where(weights, keep, dropout)
            if ctx.needs_input_grad[2]:
                dv.put(group.key_slots, torch.bmm(dropped.transpose(1, 2), gg))
            if not (ctx.needs_input_grad[0] or ctx.needs_input_grad[1] or dbias is not None):
                continue
            dweights = torch.bmm(gg, _gather(v, group.key_rows, group, heads).transpose(1, 2))
            if keep is not None:
                dweights = keep_where(dweights, keep, dropout)
            dscores = torch._softmax_backward_data(dweights, weights, -1, weights.dtype)
            if dbias is not None:
                _add_by_distance(dbias, dscores, group)
            dscores.mul_((q.shape[-1] // heads) ** -0.5)
            if ctx.needs_input_grad[0]:
                kg = _gather(k, group.key_rows, group, heads)
                dq.put(group.query_slots, torch.bmm(dscores, kg))
            if ctx.needs_input_grad[1]:
                qg = _gather(q, group.query_rows, group, heads)
                dk.put(group.key_slots, torch.bmm(dscores.transpose(1, 2), qg))
        grads = [
            x.tokens() if needed else None
            for x, needed in zip((dq, dk, dv), ctx.needs_input_grad[:3], strict=True)
        ]
        return *grads, dbias, None, None, None
