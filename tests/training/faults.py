"""Makes the n-th file operation of a process fail, or be its last."""

import builtins
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_OPERATIONS = (
    "open",
    "fsync",
    "rename",
    "replace",
    "mkdir",
    "unlink",
    "rmdir",
    "listdir",
    "scandir",
)


class Operations:
    """Counts file operations and calls ``act`` in place of the n-th one."""

    def __init__(self, nth: int, act: Callable[[], None]):
        self.nth, self.act, self.count = nth, act, 0

    def wrap(self, original: Any) -> Any:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            if self.count == self.nth:
                self.act()
            return original(*args, **kwargs)

        return counted


@contextmanager
def at_operation(nth: int, act: Callable[[], None]) -> Iterator[Operations]:
    operations = Operations(nth, act)
    places = [(os, name) for name in _OPERATIONS] + [(builtins, "open")]
    originals = [getattr(module, name) for module, name in places]
    try:
        for (module, name), original in zip(places, originals, strict=True):
            setattr(module, name, operations.wrap(original))
        yield operations
    finally:
        for (module, name), original in zip(places, originals, strict=True):
            setattr(module, name, original)
