"""Cuts a ragged batch into groups of sentences of similar length, for batched matrix products.

The only place of the package where padding exists. A plan is made once per batch and kept on its
layout, so that every layer and head uses the same index tensors.
"""

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from lowkey.nn.layout import SequenceLayout

# Sentences are told apart by their length in steps of so many tokens: finer steps would cost more
# planning than they save padding.
_LENGTH_STEP = 8
# What starting one more group costs, in attention weights that could be computed meanwhile.
_GROUP_COST = 20_000


@dataclass
class Group:
    """Sentences that are computed together, each padded to the longest of them.

    Rows count (token, head) pairs, row ``token * num_heads + head``; cells are the places of the
    padded form, sentence by sentence, head by head.

    Attributes:
        num_sentences: Sentences of the group.
        num_queries: Length that queries are padded to.
        num_keys: Length that keys are padded to.
        query_rows: The row each query cell is read from; padding reads some real row.
        key_rows: The same for key cells.
        query_slots: The row each query cell is written to; padding to the row after the last.
        key_slots: The same for key cells.
        query_padding: The cells that hold no query; None where all do.
        allowed: True where a query may look; None where it may look everywhere.
    """

    num_sentences: int
    num_queries: int
    num_keys: int
    query_rows: Tensor
    key_rows: Tensor
    query_slots: Tensor
    key_slots: Tensor
    query_padding: Tensor | None
    allowed: Tensor | None
    _biases: dict[torch.dtype, Tensor] = field(default_factory=dict)

    @cached_property
    def distances(self) -> Tensor:
        """How far each key stands behind each query, if both are of one sentence."""
        return _distances(self.num_queries, self.num_keys, self.query_rows.device)

    def bias(self, num_heads: int, dtype: torch.dtype) -> Tensor:
        """Gives what is added to the scores: 0 where a query may look, minus infinity elsewhere.

        Args:
            num_heads: Heads that share the bias.
            dtype: Precision of the scores.

        Returns:
            A view of the shape (sentences * heads, queries, keys).
        """
        shape = (self.num_sentences * num_heads, self.num_queries, self.num_keys)
        if dtype not in self._biases:
            device = self.query_rows.device
            bias = torch.zeros((1, 1, 1), dtype=dtype, device=device)
            if self.allowed is not None:
                bias = torch.zeros(self.allowed.shape, dtype=dtype, device=device)
                bias.masked_fill_(~self.allowed, float("-inf"))
                if len(bias) > 1:
                    bias = bias.repeat_interleave(num_heads, 0)
            self._biases[dtype] = bias
        return self._biases[dtype].expand(shape)


@dataclass
class Plan:
    """How one pair of layouts is computed.

    Attributes:
        num_heads: Number of heads.
        groups: The groups; together they hold every sentence once.
        memory_layout: The layout of the keys, kept alive because plans are found by its identity;
            None for self-attention, where it would only make a cycle.
    """

    num_heads: int
    groups: list[Group]
    memory_layout: SequenceLayout | None


def plan_groups(
    layout: SequenceLayout,
    memory_layout: SequenceLayout,
    num_heads: int,
    causal: bool,
    window: int | None = None,
) -> Plan:
    """Finds the groups for attention from one layout to another.

    Args:
        layout: Sentences of the queries.
        memory_layout: Sentences of the keys, as many.
        num_heads: Number of heads.
        causal: Whether a query sees only keys up to its own position.
        window: How many tokens away from its own position a query sees keys; None: all.

    Returns:
        The plan, made once and then kept on ``layout``.

    Raises:
        ValueError: If the layouts do not fit each other.
    """
    itself = layout is memory_layout
    if window is not None and window >= layout.max_length - 1:
        window = None  # it hides nothing, so the plan of all other layers will do
    key = (None if itself else id(memory_layout), num_heads, causal, window)
    if key not in layout.plans:
        if layout.num_sentences != memory_layout.num_sentences:
            raise ValueError(
                f"{layout.num_sentences} sentences ask, {memory_layout.num_sentences} answer"
            )
        narrowed = causal or window is not None
        if narrowed and not torch.equal(layout.lengths, memory_layout.lengths):
            kind = "causal attention" if causal else "a window"
            raise ValueError(f"{kind} needs queries and keys of the same lengths")
        groups = [
            _make_group(sentences, layout, memory_layout, num_heads, causal, window)
            for sentences in _partition(layout.lengths, memory_layout.lengths, num_heads)
        ]
        layout.plans[key] = Plan(num_heads, groups, None if itself else memory_layout)
    return layout.plans[key]  # type: ignore[no-any-return] # plans of any kind may be kept


def _partition(queries: Tensor, keys: Tensor, num_heads: int) -> list[Tensor]:
    """Cuts the sentences, sorted by length, where the padding saved pays for one more group.

    Dynamic programming over the distinct (rounded) key lengths, shortest first:
    best[j] = min over i < j of best[i] + cost of one group from i to j.
    """
    rounded = (keys + _LENGTH_STEP - 1) // _LENGTH_STEP
    order = torch.argsort(rounded, stable=True)
    _, counts = torch.unique_consecutive(rounded[order], return_counts=True)
    ends = [0, *counts.cumsum(0).tolist()]
    sorted_queries, sorted_keys = queries[order], keys[order]
    bins = list(pairwise(ends))
    longest_query = [int(sorted_queries[a:b].max()) for a, b in bins]
    longest_key = [int(sorted_keys[a:b].max()) for a, b in bins]
    best, cut = [0.0], [0]
    for j in range(1, len(ends)):
        options = []
        query = key = 0
        for i in range(j - 1, -1, -1):
            query, key = max(query, longest_query[i]), max(key, longest_key[i])
            cells = (ends[j] - ends[i]) * query * key * num_heads
            options.append((best[i] + cells + _GROUP_COST, i))
        cost, i = min(options)
        best.append(cost)
        cut.append(i)
    groups, j = [], len(ends) - 1
    while j:
        groups.append(order[ends[cut[j]] : ends[j]])
        j = cut[j]
    return groups[::-1]


def _make_group(
    sentences: Tensor,
    layout: SequenceLayout,
    memory_layout: SequenceLayout,
    num_heads: int,
    causal: bool,
    window: int | None,
) -> Group:
    """Makes the index tensors of one group."""
    query_rows, query_slots, query_real = _cells(sentences, layout, num_heads)
    if layout is memory_layout:
        key_rows, key_slots, key_real = query_rows, query_slots, query_real
    else:
        key_rows, key_slots, key_real = _cells(sentences, memory_layout, num_heads)
    padding = None
    if not bool(query_real.all()):
        cells = query_real.unsqueeze(1).expand(-1, num_heads, -1).reshape(-1)
        padding = (~cells).nonzero().squeeze(1)
    return Group(
        num_sentences=len(sentences),
        num_queries=query_real.shape[1],
        num_keys=key_real.shape[1],
        query_rows=query_rows,
        key_rows=key_rows,
        query_slots=query_slots,
        key_slots=key_slots,
        query_padding=padding,
        allowed=_allowed(query_real, key_real, causal, window),
    )


def _allowed(
    query_real: Tensor, key_real: Tensor, causal: bool, window: int | None
) -> Tensor | None:
    """Says where the queries of a group may look; None for everywhere."""
    square = (query_real.shape[1], key_real.shape[1])
    allowed = None
    if causal:
        # Padding stands behind every real token, so the causal mask hides it from real queries.
        allowed = torch.ones((1, *square), dtype=torch.bool, device=key_real.device).tril()
    elif not bool(key_real.all()):
        allowed = key_real.unsqueeze(1)
    if window is None:
        return allowed
    near = (_distances(*square, key_real.device).abs() <= window).unsqueeze(0)
    if allowed is None:
        return near
    # Padding that sees no key at all would be a softmax over nothing, and its NaN would spread.
    return (allowed & near) | ~query_real.unsqueeze(2)


def _distances(num_queries: int, num_keys: int, device: torch.device) -> Tensor:
    queries, keys = (torch.arange(n, device=device) for n in (num_queries, num_keys))
    return keys - queries.unsqueeze(1)


def _cells(
    sentences: Tensor, layout: SequenceLayout, num_heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Finds the cells of a group: the rows to read, the slots to write, and which are real."""
    chosen = sentences.to(layout.device)
    lengths = layout.lengths.to(layout.device)[chosen].unsqueeze(1)
    column = torch.arange(int(layout.lengths[sentences].max()), device=layout.device)
    real = column < lengths
    tokens = (layout.starts[chosen].unsqueeze(1) + column).masked_fill(~real, 0)
    heads = torch.arange(num_heads, device=layout.device).view(1, -1, 1)
    rows = tokens.unsqueeze(1) * num_heads + heads
    slots = rows.masked_fill(~real.unsqueeze(1), layout.num_tokens * num_heads)
    return rows.reshape(-1), slots.reshape(-1), real
