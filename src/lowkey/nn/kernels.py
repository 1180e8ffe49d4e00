"""The ways to compute attention over ragged sentences, and the rule that picks one.

A kernel takes flat queries, keys and values ``(tokens, d_model)`` with the layouts that say which
rows belong together. ``reference`` is the formula, sentence by sentence: the truth every other
kernel is tested against. ``grouped`` computes sentences of similar length together as batched
matrix products, and its backward pass keeps only the attention weights;
``benchmarks/attention_kernels.py`` measures it beside torch's fused attention.
"""

import math
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from lowkey.nn.dropout import keep_bits, keep_where, quantised
from lowkey.nn.groups import Group, Plan, plan_groups
from lowkey.nn.layout import SequenceLayout


@runtime_checkable
class AttentionKernel(Protocol):
    """Softmax attention of every query over the keys of its own sentence."""

    def __call__(
        self,
        q: Float[Tensor, "queries d_model"],
        k: Float[Tensor, "keys d_model"],
        v: Float[Tensor, "keys d_model"],
        layout: SequenceLayout,
        memory_layout: SequenceLayout,
        *,
        num_heads: int,
        causal: bool = False,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "queries d_model"]:
        """Computes attention.

        Args:
            q: Queries, heads side by side.
            k: Keys.
            v: Values.
            layout: Sentences of the queries.
            memory_layout: Sentences of the keys; sentence i answers sentence i.
            num_heads: Number of heads, a divisor of d_model.
            causal: Whether a query sees only keys up to its own position.
            dropout: Probability that one attention weight is dropped.
            generator: Source of that randomness.

        Returns:
            One mixture of values per query.
        """
        ...


def attention_weights(
    q: Float[Tensor, "heads queries d_head"],
    k: Float[Tensor, "heads keys d_head"],
    *,
    causal: bool = False,
) -> Float[Tensor, "heads queries keys"]:
    r"""Computes :math:`\mathrm{softmax}(Q K^\top / \sqrt{d_k})` for one sentence.

    Args:
        q: Queries of each head.
        k: Keys of each head.
        causal: Whether a query sees only keys up to its own position.

    Returns:
        Rows that sum to 1.

    References:
        Vaswani et al., "Attention Is All You Need", 2017, equation 1 and section 3.2.3.
    """
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(later, float("-inf"))
    return scores.softmax(dim=-1)


def reference(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    layout: SequenceLayout,
    memory_layout: SequenceLayout,
    *,
    num_heads: int,
    causal: bool = False,
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Computes attention sentence by sentence, as the formula says; see ``AttentionKernel``."""
    outputs = []
    lengths, memory_lengths = layout.lengths.tolist(), memory_layout.lengths.tolist()
    parts = zip(q.split(lengths), k.split(memory_lengths), v.split(memory_lengths), strict=True)
    for sentence in parts:
        heads = [x.unflatten(-1, (num_heads, -1)).transpose(0, 1) for x in sentence]
        weights = attention_weights(heads[0], heads[1], causal=causal)
        if dropout:
            keep = keep_bits(tuple(weights.shape), dropout, generator, weights.device)
            weights = weights * (keep != 0) / (1 - quantised(dropout))
        outputs.append((weights @ heads[2]).transpose(0, 1).flatten(1))
    return torch.cat(outputs)


def grouped(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    layout: SequenceLayout,
    memory_layout: SequenceLayout,
    *,
    num_heads: int,
    causal: bool = False,
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Computes attention for groups of sentences of similar length; see ``AttentionKernel``."""
    plan = plan_groups(layout, memory_layout, num_heads, causal)
    return _GroupedAttention.apply(q, k, v, plan, dropout, generator)  # type: ignore[no-any-return] # autograd's apply is untyped


def _gather(x: Tensor, rows: Tensor, group: Group, num_heads: int) -> Tensor:
    """Brings the rows of a group into the form (sentences * heads, length, d_head)."""
    flat = x.reshape(-1, x.shape[-1] // num_heads).index_select(0, rows)
    return flat.view(group.num_sentences * num_heads, -1, flat.shape[-1])


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
        plan: Plan,
        dropout: float,
        generator: torch.Generator | None,
    ) -> Tensor:
        heads, output, saved = plan.num_heads, _Scatter(q, plan.num_heads), []
        for group in plan.groups:
            qg = _gather(q, group.query_rows, group, heads)
            kg = _gather(k, group.key_rows, group, heads)
            vg = _gather(v, group.key_rows, group, heads)
            scores = torch.baddbmm(
                group.bias(heads, q.dtype), qg, kg.transpose(1, 2), alpha=qg.shape[-1] ** -0.5
            )
            # In fp32 also under bf16: more exact, and on CPUs faster than a bf16 softmax.
            accumulate = torch.promote_types(q.dtype, torch.float32)
            weights = torch.softmax(scores, -1, dtype=accumulate).to(q.dtype)
            keep = None
            if dropout:
                keep = keep_bits(tuple(weights.shape), dropout, generator, q.device)
            dropped = weights if keep is None else keep_where(weights, keep, dropout)
            output.put(group.query_slots, torch.bmm(dropped, vg))
            saved += [weights, keep]
        ctx.save_for_backward(q, k, v, *saved)
        ctx.plan, ctx.dropout = plan, dropout
        return output.tokens()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # pyrefly: ignore[bad-override] # once_differentiable forgets the name ctx
        grad = grad_outputs[0].contiguous()
        q, k, v, *saved = ctx.saved_tensors
        heads, dropout = ctx.plan.num_heads, ctx.dropout
        dq, dk, dv = (_Scatter(x, heads) for x in (q, k, v))
        for index, group in enumerate(ctx.plan.groups):
            weights, keep = saved[2 * index : 2 * index + 2]
            gg = _gather(grad, group.query_rows, group, heads)
            if group.query_padding is not None:
                # Padding was gathered from some real row; its gradient must not count.
                gg.view(-1, gg.shape[-1]).index_fill_(0, group.query_padding, 0)
            dropped = weights if keep is None else keep_where(weights, keep, dropout)
            if ctx.needs_input_grad[2]:
                dv.put(group.key_slots, torch.bmm(dropped.transpose(1, 2), gg))
            if not (ctx.needs_input_grad[0] or ctx.needs_input_grad[1]):
                continue
            dweights = torch.bmm(gg, _gather(v, group.key_rows, group, heads).transpose(1, 2))
            if keep is not None:
                dweights = keep_where(dweights, keep, dropout)
            dscores = torch._softmax_backward_data(dweights, weights, -1, weights.dtype)
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
        return *grads, None, None, None


KERNELS: dict[str, Callable[..., Tensor]] = {"reference": reference, "grouped": grouped}


def choose_kernel(name: str) -> AttentionKernel:
    """Picks the kernel that computes attention.

    ``auto`` is ``grouped`` on every device: on a CPU by measurement (see
    ``benchmarks/attention_kernels.py``), on others because it draws from no global random state.

    Args:
        name: "auto", or the name of a kernel.

    Returns:
        The kernel.

    Raises:
        ValueError: If there is no kernel of that name.
    """
    name = "grouped" if name == "auto" else name
    if name not in KERNELS:
        raise ValueError(f"no attention kernel {name!r}; there are {', '.join(KERNELS)} and auto")
    return KERNELS[name]
