"""What every tracker can do."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Tracker(Protocol):
    """Takes the numbers, texts and pictures of one run; what it has no place for it ignores."""

    def log(self, step: int, values: Mapping[str, int | float]) -> None:
        """Records numbers.

        Args:
            step: Updates made.
            values: Numbers by name; names under ``time/`` vary between equal runs.
        """
        ...

    def config(self, config: Mapping[str, Any]) -> None:
        """Records the settings of the run, without their secrets.

        Args:
            config: Settings by name; values may be nested.
        """
        ...

    def text(self, step: int, name: str, text: str) -> None:
        """Records a text.

        Args:
            step: Updates made.
            name: What the text shows.
            text: The text.
        """
        ...

    def image(self, step: int, name: str, png: bytes) -> None:
        """Records a picture.

        Args:
            step: Updates made.
            name: What the picture shows.
            png: A PNG file.
        """
        ...

    def close(self) -> None:
        """Writes what is still held back; nothing may be recorded afterwards."""
        ...
