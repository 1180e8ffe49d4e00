"""Time and speed of a run."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Pace:
    """A clock that knows the earlier parts of a resumed run.

    Args:
        seconds_before: Time the run took before it was resumed.

    Attributes:
        share_before: Share of the run that lay behind when the clock was started, in [0, 1].
    """

    def __init__(self, seconds_before: float = 0.0):
        self._started = time.perf_counter()
        self._seconds_before = seconds_before
        self.share_before = 0.0
        self._seconds_in_steps = 0.0
        self._tokens = 0

    def seconds(self) -> float:
        """Measures the time of the run, all its parts together.

        Returns:
            Seconds.
        """
        return self._seconds_before + time.perf_counter() - self._started

    @contextmanager
    def step(self) -> Iterator[None]:
        """Measures the body as time spent on training.

        Yields:
            Nothing.
        """
        began = time.perf_counter()
        yield
        self._seconds_in_steps += time.perf_counter() - began

    def read(self, tokens: int) -> None:
        """Counts tokens that were trained on.

        Args:
            tokens: How many.
        """
        self._tokens += tokens

    def restart(self) -> None:
        """Begins a new measurement of the speed."""
        self._seconds_in_steps, self._tokens = 0.0, 0

    def tokens_per_second(self) -> float:
        """Measures the speed of training since the last restart, all else left out.

        Returns:
            Tokens per second; 0 before the first step.
        """
        return self._tokens / self._seconds_in_steps if self._seconds_in_steps else 0.0

    def values(self) -> dict[str, float]:
        """Gives what is logged.

        Returns:
            Seconds and speed, under names that say that they vary between equal runs.
        """
        return {
            "time/seconds": self.seconds(),
            "time/tokens_per_second": self.tokens_per_second(),
        }

    def seconds_left(self, share: float) -> float | None:
        """Estimates the time to the end.

        Args:
            share: Share of the run that lies behind, in [0, 1].

        Returns:
            Seconds, None while nothing has happened.
        """
        done = share - self.share_before
        now = time.perf_counter() - self._started
        return now * (1 - share) / done if done > 0 else None
