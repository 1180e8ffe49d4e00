"""How the learning rate moves during a run, as a factor of its peak.

All schedules rise in a straight line to their peak at the end of warm-up. Then they fall with the
inverse square root of the step (the paper's ``noam``; ``inverse_sqrt`` in other tools), fall
linearly, fall as half a cosine, or stay.
"""

import math
from dataclasses import dataclass

from lowkey.errors import ConfigError


def noam(warmed: float) -> float:
    r"""The schedule of "Attention Is All You Need", relative to its peak.

    Equation (3) reads :math:`d^{-0.5} \min(s^{-0.5}, s\,w^{-1.5})` at step :math:`s` with
    :math:`w` steps of warm-up. It peaks at :math:`s = w` with :math:`(d\,w)^{-0.5}`; divided by
    that, it is :math:`\min(x^{-0.5}, x)` with :math:`x = s / w`.

    Args:
        warmed: Steps over steps of warm-up, above 0.

    Returns:
        The factor, in (0, 1].

    References:
        Vaswani et al., "Attention Is All You Need", 2017, section 5.3.

    Example:
        >>> [noam(x) for x in (0.5, 1.0, 4.0)]
        [0.5, 1.0, 0.5]
    """
    return min(warmed, warmed**-0.5)


def linear(warmed: float, done: float) -> float:
    """Rises in a straight line and falls in one.

    Args:
        warmed: Steps over steps of warm-up, above 0.
        done: How much of the way from the end of warm-up to the end of the run lies behind,
            in [0, 1].

    Returns:
        The factor, in [0, 1].
    """
    return min(1.0, warmed) * (1 - done)


def cosine(warmed: float, done: float) -> float:
    """Rises in a straight line and falls as half a cosine.

    Args:
        warmed: Steps over steps of warm-up, above 0.
        done: How much of the way from the end of warm-up to the end of the run lies behind,
            in [0, 1].

    Returns:
        The factor, in [0, 1].
    """
    return min(1.0, warmed) * (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class Schedule:
    """The factor of the peak rate at each step of one run.

    Args:
        kind: ``noam`` or ``inverse_sqrt``, which are the same relative to their peak; ``linear``,
            ``cosine``, or ``constant`` alias ``constant_with_warmup``.
        warmup: Steps of warm-up; below 1, a share of ``total``.
        total: Steps of the run, at least 1.

    Raises:
        ConfigError: If the warm-up is longer than the run.

    Example:
        >>> schedule = Schedule("linear", warmup=2, total=5)
        >>> [schedule.factor(step) for step in (1, 2, 3, 4, 5)]
        [0.5, 1.0, 0.75, 0.5, 0.25]
    """

    kind: str
    warmup: int | float
    total: int

    def __post_init__(self) -> None:
        """Refuses a run that ends before its peak."""
        if self.warmup > self.total:
            what = f"train.warmup_steps {self.warmup} is more than the whole run"
            usual = max(1, self.total // 10)
            fix = f"use at most {self.total}; {usual} is usual here"
            raise ConfigError(f"{what} ({self.total} steps)", fix=fix)

    def factor(self, step: int, elapsed: float = 0.0) -> float:
        """Gives the factor for one update.

        No update is made with a rate of zero: the first has ``1 / warmup``, and the rate would
        reach zero one step after the last.

        Args:
            step: Number of the update, from 1.
            elapsed: Share of the time budget that is used up. The run is as far as the larger of
                its two shares, so that it ends with a rate near zero when its time ends.

        Returns:
            The factor, in [0, 1].
        """
        position = max(step, elapsed * self.total)
        if 0 < self.warmup < 1:
            warmup = max(1.0, self.warmup * self.total)
            warmed = position / warmup
        else:
            warmup = max(1.0, self.warmup)
            warmed = step / warmup
        done = (position - warmup) / (self.total - warmup + 1)
        done = min(1.0, max(0.0, done))
        if self.kind in ("noam", "inverse_sqrt"):
            return noam(warmed)
        if self.kind.startswith("constant"):
            return min(1.0, warmed)
        return {"linear": linear, "cosine": cosine}[self.kind](warmed, done)
