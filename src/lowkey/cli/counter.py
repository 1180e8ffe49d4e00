"""Shows how many texts are done, on a terminal that shows nothing else."""

import sys
import time


class Counter:
    """One living line on standard error: texts done and their speed. Elsewhere it is silent.

    The line would tear the answers apart on a terminal that shows those too.
    """

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty() and not sys.stdout.isatty()
        self._start = time.monotonic()
        self._done = 0

    def advance(self, count: int) -> None:
        """Counts more texts.

        Args:
            count: How many.
        """
        self._done += count
        if self._shown:
            speed = self._done / max(1e-9, time.monotonic() - self._start)
            line = f"{self._done:,} texts  {speed:.1f} texts/s"
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)

    def stop(self) -> None:
        """Takes the line away."""
        if self._shown and self._done:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
