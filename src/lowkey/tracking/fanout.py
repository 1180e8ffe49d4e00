"""One tracker that hands everything to several, and outlives them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lowkey.errors import UnavailableError, escaped
from lowkey.tracking.config import TrackerName
from lowkey.tracking.jsonl import JsonlTracker
from lowkey.tracking.scrub import scrub_text
from lowkey.tracking.tracker import Tracker

Warn = Callable[[str], None]


class Fanout:
    """Hands everything to the record of the run and to any other trackers.

    A tracker can fail, a run cannot: one that raises costs a warning and is dropped. The
    record is not dropped, for a resumed run relies on it; its errors go through.

    Args:
        record: The JSON Lines of the run.
        others: The other trackers, by the name that a warning gives them.
        warn: Takes a warning of one line.
    """

    def __init__(self, record: JsonlTracker, others: Mapping[str, Tracker], *, warn: Warn):
        self.record = record
        self.others = dict(others)
        self.warn = warn

    def log(self, step: int, values: Mapping[str, int | float]) -> None:
        """Records numbers everywhere.

        Args:
            step: Updates made.
            values: Numbers by name; names under ``time/`` vary between equal runs.

        Raises:
            CannotWriteError: If the record cannot be written.
        """
        self.record.log(step, values)
        self._each(lambda tracker: tracker.log(step, values))

    def config(self, config: Mapping[str, Any]) -> None:
        """Records the settings of the run, without their secrets.

        Args:
            config: Settings by name; values may be nested.
        """
        self._each(lambda tracker: tracker.config(config))

    def text(self, step: int, name: str, text: str) -> None:
        """Records a text.

        Args:
            step: Updates made.
            name: What the text shows.
            text: The text.
        """
        self._each(lambda tracker: tracker.text(step, name, text))

    def image(self, step: int, name: str, png: bytes) -> None:
        """Records a picture.

        Args:
            step: Updates made.
            name: What the picture shows.
            png: A PNG file.
        """
        self._each(lambda tracker: tracker.image(step, name, png))

    def offset(self) -> int:
        """Forces the record to the disk.

        Returns:
            The length of ``metrics.jsonl``, in bytes.

        Raises:
            CannotWriteError: If the disk refuses.
        """
        return self.record.offset()

    def rewind(self, offset: int) -> None:
        """Cuts off the metrics that were logged after a checkpoint.

        Args:
            offset: What ``offset`` gave then; 0 for the beginning.

        Raises:
            DataError: If the record is shorter than that.
            CannotWriteError: If the record cannot be cut.
        """
        self.record.rewind(offset)

    def close(self) -> None:
        """Closes every tracker; never raises."""
        self._each(lambda tracker: tracker.close())
        try:
            self.record.close()
        except OSError as error:
            self.warn(_one_line("jsonl", error))

    def _each(self, act: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self.others.items()):
            try:
                act(tracker)
            except Exception as error:  # a foreign library may raise anything
                del self.others[name]
                self.warn(_one_line(name, error))


def open_trackers(names: Sequence[TrackerName], folder: Path, *, warn: Warn) -> Fanout:
    """Opens the trackers that a recipe names; JSON Lines always.

    Args:
        names: The trackers.
        folder: The run folder; TensorBoard writes to ``tensorboard/`` in it.
        warn: Takes a warning of one line, here for a tracker that fails to start.

    Returns:
        All of them as one.

    Raises:
        UnavailableError: If the package of a tracker is not installed.
        CannotWriteError: If the record cannot be written.
    """
    others: dict[str, Tracker] = {}
    for name in names:
        try:
            if name == "tensorboard":
                from lowkey.tracking.tensorboard import TensorBoardTracker

                others[name] = TensorBoardTracker(folder / "tensorboard")
            elif name == "wandb":
                from lowkey.tracking.wandb import WandbTracker

                others[name] = WandbTracker(folder)
        except UnavailableError:
            raise
        except Exception as error:  # a foreign library may raise anything
            warn(_one_line(name, error))
    return Fanout(JsonlTracker(folder), others, warn=warn)


def _one_line(name: str, error: Exception) -> str:
    """Says which tracker is lost and why, without secrets that an address may hold."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return escaped(scrub_text(f"tracker {name} failed and is left out: {reason}"))
