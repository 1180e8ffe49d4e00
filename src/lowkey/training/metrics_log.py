"""What the training loop asks of the tracker it logs to."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable


@runtime_checkable
class MetricsLog(Protocol):
    """A log that can be taken back to where a checkpoint was made."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Records numbers.

        Args:
            step: Updates made.
            values: Numbers by name; names under ``time/`` vary between equal runs.
        """
        ...

    def offset(self) -> int:
        """Forces the metrics file to the disk.

        Returns:
            Its length, in bytes.
        """
        ...

    def rewind(self, offset: int) -> None:
        """Cuts off what was logged after a checkpoint.

        Args:
            offset: What ``offset`` gave then; 0 for the beginning.
        """
        ...
