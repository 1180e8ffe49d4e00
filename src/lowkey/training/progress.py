"""Shows how a run goes: one living line on a terminal, plain lines elsewhere. Free of torch."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from io import TextIOBase
from typing import IO, TextIO, cast

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

# The first is what type checkers call sys.stderr, the second what it is.
Stream = TextIO | TextIOBase


@dataclass(frozen=True)
class Moment:
    """Where a run stands.

    Attributes:
        step: Updates made.
        total: Updates of the whole run, unless something ends it earlier.
        share: Share of the run, by steps or by time, that lies behind, in [0, 1].
        loss: Mean training loss of the latest steps.
        tokens_per_second: Speed of training, evaluations and saving left out.
        seconds_left: Time until the end at the present pace; None when not yet known.
    """

    step: int
    total: int
    share: float
    loss: float
    tokens_per_second: float
    seconds_left: float | None = None

    def __str__(self) -> str:
        """Writes the moment on one line.

        Returns:
            Step, loss, speed and time left.
        """
        left = "" if self.seconds_left is None else f"  {clock(self.seconds_left)} left"
        speed = f"{self.tokens_per_second:,.0f} tokens/s"
        return f"step {self.step}/{self.total}  loss {self.loss:.4g}  {speed}{left}"


class Progress:
    """What the training loop tells while it works; this one shows warnings only."""

    def start(self) -> None:
        """Called once, before the first step."""

    def step(self, moment: Moment, *, logged: bool) -> None:
        """Called after each step.

        Args:
            moment: Where the run stands.
            logged: Whether this step stands in the metrics file.
        """

    def note(self, text: str) -> None:
        """Shows a line that stays.

        Args:
            text: The line.
        """

    def warn(self, text: str) -> None:
        """Shows a warning, on standard error if there is no better place.

        Args:
            text: The warning, without the word.
        """
        print(f"warning: {text}", file=sys.stderr, flush=True)

    def stop(self) -> None:
        """Called once, however the run ends."""


class PlainProgress(Progress):
    """Prints a line at each logged step: for log files and pipes.

    Args:
        stream: Where to print.
    """

    def __init__(self, stream: Stream):
        self.stream = stream

    def step(self, moment: Moment, *, logged: bool) -> None:
        """Prints the moment if it was logged.

        Args:
            moment: Where the run stands.
            logged: Whether this step stands in the metrics file.
        """
        if logged:
            self.note(str(moment))

    def note(self, text: str) -> None:
        """Prints a line.

        Args:
            text: The line.
        """
        print(text, file=self.stream, flush=True)

    def warn(self, text: str) -> None:
        """Prints a warning.

        Args:
            text: The warning, without the word.
        """
        self.note(f"warning: {text}")


class LiveProgress(Progress):
    """Keeps one line of a terminal up to date, with a bar; notes scroll by above it.

    Args:
        stream: The terminal.
    """

    def __init__(self, stream: Stream):
        self.console = Console(file=cast("IO[str]", stream), highlight=False)
        columns = (BarColumn(bar_width=24), TextColumn("{task.description}", markup=False))
        self.bar = Bar(*columns, console=self.console, transient=True)
        self.task = self.bar.add_task("starting", total=1.0)

    def start(self) -> None:
        """Opens the line."""
        self.bar.start()
        # A second Ctrl-C ends the process on the spot; the cursor must be there then.
        self.console.show_cursor(True)

    def step(self, moment: Moment, *, logged: bool) -> None:
        """Renews the line.

        Args:
            moment: Where the run stands.
            logged: Ignored.
        """
        self.bar.update(self.task, completed=moment.share, description=str(moment))

    def note(self, text: str) -> None:
        """Prints a line above the living one.

        Args:
            text: The line.
        """
        self.console.print(text, markup=False)

    def warn(self, text: str) -> None:
        """Prints a warning above the living line.

        Args:
            text: The warning, without the word.
        """
        self.note(f"warning: {text}")

    def stop(self) -> None:
        """Closes the line."""
        self.bar.stop()


def progress_for(stream: Stream | None = None) -> Progress:
    """Chooses the way of showing that fits a stream.

    Args:
        stream: Where to show; standard error if None.

    Returns:
        A living line on a terminal, plain lines elsewhere.
    """
    stream = sys.stderr if stream is None else stream
    return LiveProgress(stream) if stream.isatty() else PlainProgress(stream)


def clock(seconds: int | float) -> str:
    """Writes a duration as people read it.

    Args:
        seconds: The duration, at least 0.

    Returns:
        Minutes and seconds, and hours when there are any.

    Example:
        >>> clock(75), clock(3675)
        ('1:15', '1:01:15')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def named_values(values: Mapping[str, float]) -> str:
    """Writes metrics on one line.

    Args:
        values: Numbers by name.

    Returns:
        Names and numbers.

    Example:
        >>> named_values({"loss": 0.51234567, "accuracy": 0.9})
        'loss 0.5123  accuracy 0.9'
    """
    return "  ".join(f"{name} {value:.4g}" for name, value in values.items())
