"""Makes the next batch in the background while the model learns from the present one."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetch(Generic[T]):
    """Gives what a function makes of a batch, usually made beforehand.

    The function must be pure: the outcome is the same with and without a plan, whatever the
    timing. Only one batch is made ahead, in one thread.

    Args:
        make: Makes something of the examples of a batch.

    Example:
        >>> doubled = Prefetch(lambda ids: [2 * i for i in ids])
        >>> doubled.follow([[1, 2], [3]])
        >>> doubled.get([1, 2]), doubled.get([3])
        ([2, 4], [6])
    """

    def __init__(self, make: Callable[[Sequence[int]], T]):
        self._make = make
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch")
        self._plan: Sequence[Sequence[int]] = []
        self._next: dict[int, int] = {}
        self._ahead: tuple[Sequence[int], Future[T]] | None = None

    def follow(self, plan: Sequence[Sequence[int]]) -> None:
        """Says which batches come next; a hint, on which no outcome depends.

        Args:
            plan: The batches in their order, none empty; no two begin with the same example.
        """
        # Places, not batches: a plan may be far smaller than all of its batches.
        self._plan = plan
        self._next = {batch[0]: place for place, batch in enumerate(plan, start=1)}

    def get(self, ids: Sequence[int]) -> T:
        """Gives what the function makes of a batch, and begins with the one after it.

        Args:
            ids: The examples, at least one.

        Returns:
            The outcome of the function, or whatever it raises.
        """
        ahead, self._ahead = self._ahead, None
        made = ahead[1].result() if ahead and list(ahead[0]) == list(ids) else self._make(ids)
        place = self._next.get(ids[0], len(self._plan))
        if place < len(self._plan):
            after = self._plan[place]
            self._ahead = after, self._thread.submit(self._make, after)
        return made
