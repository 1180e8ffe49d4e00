"""Which examples go through the model together, and in what order.

Both plans are pure functions of their arguments: no state, no generator to save, and the same
batches whatever the number of processes that share them.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from lowkey.runtime import seed_for

BATCHES_PER_BUCKET = 100
"""Most batches that are cut from one bucket of examples sorted by length."""

MIN_BUCKETS = 4
"""Fewest buckets: in a single one the same examples would meet again in every epoch."""


def plan_batches(
    lengths: Sequence[int] | Int64[np.ndarray, " examples"],
    *,
    seed: int,
    epoch: int,
    batch_tokens: int | None = None,
    batch_size: int | None = None,
) -> list[list[int]]:
    """Plans one epoch of training: every example once, in batches of similar lengths.

    The examples are shuffled and dealt into buckets of up to a hundred batches; each bucket is
    sorted by length and cut; the batches are shuffled. Similar lengths let attention, the only
    place that pads, waste little, while the buckets keep the composition of batches random.

    Args:
        lengths: Tokens of each example, at least 1.
        seed: Seed of the run.
        epoch: Number of the epoch, from 0; each has its own order.
        batch_tokens: Most tokens of a batch; a longer example makes a batch of its own.
        batch_size: Examples in a batch, if the size is fixed instead.

    Returns:
        The positions of the examples of each batch.

    Raises:
        ValueError: Unless exactly one of ``batch_tokens`` and ``batch_size`` is given, at least 1.

    Example:
        >>> sorted(map(len, plan_batches([3, 3, 3, 3, 3], seed=1, epoch=0, batch_tokens=6)))
        [1, 2, 2]
    """
    limit = batch_size if batch_tokens is None else batch_tokens
    if limit is None or limit < 1 or (batch_size is not None and batch_tokens is not None):
        raise ValueError("give batch_tokens or batch_size, at least 1")
    sizes = np.asarray(lengths, dtype=np.int64)
    if not len(sizes):
        return []
    random = np.random.Generator(np.random.PCG64(seed_for("batches", seed, epoch)))
    # Sorted random numbers rather than permutation(): its algorithm may change between releases.
    order = np.argsort(random.random(len(sizes)), kind="stable")
    costs = sizes if batch_size is None else np.ones_like(sizes)
    per_batch = limit if batch_size else max(1, int(limit // sizes.mean()))
    num_batches = len(sizes) // per_batch
    bucket_size = per_batch * max(1, min(BATCHES_PER_BUCKET, num_batches // MIN_BUCKETS))
    batches: list[list[int]] = []
    for start in range(0, len(order), bucket_size):
        bucket = order[start : start + bucket_size]
        bucket = bucket[np.argsort(sizes[bucket], kind="stable")]
        batches += _cut(bucket, costs[bucket], limit)
    return [batches[i] for i in np.argsort(random.random(len(batches)), kind="stable")]


def plan_evaluation_batches(
    lengths: Sequence[int] | Int64[np.ndarray, " examples"], batch_tokens: int
) -> list[list[int]]:
    """Plans the batches in which examples are scored: sorted by length, the longest first.

    The longest batch comes first, so that one which does not fit into memory fails at once.

    Args:
        lengths: Tokens of each example, at least 1.
        batch_tokens: Most tokens of a batch; a longer example makes a batch of its own.

    Returns:
        The positions of the examples of each batch.

    Raises:
        ValueError: If ``batch_tokens`` is not at least 1.
    """
    if batch_tokens < 1:
        raise ValueError("batch_tokens must be at least 1")
    sizes = np.asarray(lengths, dtype=np.int64)
    order = np.argsort(-sizes, kind="stable")
    return _cut(order, sizes[order], batch_tokens)


def _cut(
    order: Int64[np.ndarray, " examples"], costs: Int64[np.ndarray, " examples"], limit: int
) -> list[list[int]]:
    """Cuts a list into runs, each as long as its costs stay within the limit."""
    total = np.cumsum(costs)
    batches = []
    start, spent = 0, 0
    while start < len(order):
        end = max(start + 1, int(np.searchsorted(total, spent + limit, side="right")))
        batches.append(order[start:end].tolist())
        start, spent = end, int(total[end - 1])
    return batches
