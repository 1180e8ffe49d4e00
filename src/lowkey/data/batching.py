"""Which examples go through the model together, and in what order.

Both plans are pure functions of their arguments: no state, no generator to save, and the same
batches whatever the number of processes that share them.
"""

from collections.abc import Callable, Sequence
from typing import overload

import numpy as np
from jaxtyping import Int64

from lowkey.data.flat import FlatSequences
from lowkey.runtime import seed_for

BATCHES_PER_BUCKET = 100
"""Most batches that are cut from one bucket of examples sorted by length."""

MIN_BUCKETS = 4
"""Fewest buckets: in a single one the same examples would meet again in every epoch."""


class BatchPlan(Sequence[list[int]]):
    """The batches of an epoch, kept as one array: eight bytes an example, where lists need fifty.

    Args:
        batches: The positions of the examples of each batch.
        number: Says by what the examples of a batch are to be named in place of their positions.
    """

    def __init__(self, batches: FlatSequences, number: Callable[[Sequence[int]], list[int]] = list):
        self._batches = batches
        self._number = number

    def __len__(self) -> int:
        """Returns the number of batches."""
        return len(self._batches)

    @overload
    def __getitem__(self, index: int) -> list[int]: ...

    @overload
    def __getitem__(self, index: slice) -> list[list[int]]: ...

    def __getitem__(self, index: int | slice) -> list[int] | list[list[int]]:
        """Returns the examples of a batch, or of some batches."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        start, length = self._batches.starts[index], self._batches.lengths[index]
        return self._number(self._batches.values[start : start + length].tolist())

    def __eq__(self, other: object) -> bool:
        """Tells whether other batches hold the same examples in the same order."""
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None

    def numbered(self, number: Callable[[Sequence[int]], list[int]]) -> "BatchPlan":
        """Names the examples in another way.

        Args:
            number: Gives the names of the examples at some positions.

        Returns:
            The same batches.
        """
        return BatchPlan(self._batches, number)


def plan_batches(
    lengths: Sequence[int] | Int64[np.ndarray, " examples"],
    *,
    seed: int,
    epoch: int,
    batch_tokens: int | None = None,
    batch_size: int | None = None,
) -> BatchPlan:
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
        return BatchPlan(FlatSequences.of([]))
    random = np.random.Generator(np.random.PCG64(seed_for("batches", seed, epoch)))
    # Sorted random numbers rather than permutation(): its algorithm may change between releases.
    order = np.argsort(random.random(len(sizes)), kind="stable")
    costs = sizes if batch_size is None else np.ones_like(sizes)
    per_batch = limit if batch_size else max(1, int(limit // sizes.mean()))
    num_batches = len(sizes) // per_batch
    bucket_size = per_batch * max(1, min(BATCHES_PER_BUCKET, num_batches // MIN_BUCKETS))
    buckets: list[FlatSequences] = []
    for start in range(0, len(order), bucket_size):
        bucket = order[start : start + bucket_size]
        bucket = bucket[np.argsort(sizes[bucket], kind="stable")]
        buckets.append(_cut(bucket, costs[bucket], limit))
    batches = FlatSequences.join(buckets)
    return BatchPlan(batches.take(np.argsort(random.random(len(batches)), kind="stable")))


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
    return list(BatchPlan(_cut(order, sizes[order], batch_tokens)))


def _cut(
    order: Int64[np.ndarray, " examples"], costs: Int64[np.ndarray, " examples"], limit: int
) -> FlatSequences:
    """Cuts a list into runs, each as long as its costs stay within the limit."""
    total = np.cumsum(costs)
    lengths = []
    start, spent = 0, 0
    while start < len(order):
        end = max(start + 1, int(np.searchsorted(total, spent + limit, side="right")))
        lengths.append(end - start)
        start, spent = end, int(total[end - 1])
    return FlatSequences(order, np.array(lengths, dtype=np.int64))
