"""The ways to compute attention over ragged sentences, and the rule that picks one.

A kernel takes flat queries, keys and values ``(tokens, d_model)`` with the layouts that say which
rows belong together. ``reference`` is the formula, sentence by sentence: the truth every other
kernel is tested against. ``grouped`` computes sentences of similar length together;
``benchmarks/attention_kernels.py`` measures it beside torch's fused attention.
"""

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from lowkey.nn.dropout import keep_bits, quantised
from lowkey.nn.grouped_attention import grouped
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
        window: int | None = None,
        bias: Float[Tensor, "heads distances"] | None = None,
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
            window: How many tokens away from its own position a query sees keys; None: all.
            bias: What is added to a score for how far the key stands behind the query: a column
                for each distance from -(max_length - 1) to max_length - 1.
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
    window: int | None = None,
    bias: Float[Tensor, "heads distances"] | None = None,
) -> Float[Tensor, "heads queries keys"]:
    r"""Computes :math:`\mathrm{softmax}(Q K^\top / \sqrt{d_k})` for one sentence.

    Args:
        q: Queries of each head.
        k: Keys of each head.
        causal: Whether a query sees only keys up to its own position.
        window: How many tokens away from its own position a query sees keys; None: all.
        bias: What is added to a score for each distance, in the middle for none; see
            ``AttentionKernel``.

    Returns:
        Rows that sum to 1.

    References:
        Vaswani et al., "Attention Is All You Need", 2017, equation 1 and section 3.2.3.
    """
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    queries, keys = (torch.arange(x.shape[-2], device=x.device) for x in (q, k))
    distances = keys - queries.unsqueeze(1)
    if bias is not None:
        scores = scores + bias[:, distances + bias.shape[1] // 2]
    if causal:
        scores = scores.masked_fill(distances > 0, float("-inf"))
    if window is not None:
        scores = scores.masked_fill(distances.abs() > window, float("-inf"))
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
    window: int | None = None,
    bias: Tensor | None = None,
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Computes attention sentence by sentence, as the formula says; see ``AttentionKernel``."""
    outputs = []
    lengths, memory_lengths = layout.lengths.tolist(), memory_layout.lengths.tolist()
    parts = zip(q.split(lengths), k.split(memory_lengths), v.split(memory_lengths), strict=True)
    for sentence in parts:
        heads = [x.unflatten(-1, (num_heads, -1)).transpose(0, 1) for x in sentence]
        weights = attention_weights(heads[0], heads[1], causal=causal, window=window, bias=bias)
        if dropout:
            keep = keep_bits(tuple(weights.shape), dropout, generator, weights.device)
            weights = weights * (keep != 0) / (1 - quantised(dropout))
        outputs.append((weights @ heads[2]).transpose(0, 1).flatten(1))
    return torch.cat(outputs)


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
