"""What a window of training steps cost, read off two clocks."""

import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cost:
    """What a window of steps cost.

    Attributes:
        cpu: CPU seconds of the whole process, all its threads together.
        wall: Seconds on the wall.
    """

    cpu: float
    wall: float


@dataclass
class StepClock:
    """Reads both clocks at the end of every step.

    A window costs what lies between the end of its first step and the end of its last: everything
    a step needs, fetching and padding its batch included, but neither set-up nor warm-up.
    """

    readings: list[Cost] = field(default_factory=list)

    def tick(self) -> None:
        """Notes the end of a step."""
        self.readings.append(Cost(time.process_time(), time.perf_counter()))

    def window(self, steps: int) -> Cost:
        """Gives the cost of the steps after the first.

        Args:
            steps: How many steps there must have been, the first one not counted.

        Returns:
            The cost of them all.

        Raises:
            RuntimeError: If another number of steps was made.
        """
        if len(self.readings) != steps + 1:
            raise RuntimeError(f"{len(self.readings) - 1} steps were made instead of {steps}")
        first, last = self.readings[0], self.readings[-1]
        return Cost(last.cpu - first.cpu, last.wall - first.wall)
