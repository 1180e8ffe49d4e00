"""Signals that ask a run to stop: a flag that the loop looks at, and no more.

The first SIGINT (Ctrl-C) or SIGTERM sets the flag; the run saves a checkpoint and leaves. From
then on the signal has its usual effect again, so a second one ends the process at once.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from lowkey.errors import StoppedError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """The run was asked to stop.

    Like KeyboardInterrupt not an Exception, so that no handler on the way takes it for a failure.
    """


class StopSignals:
    """Listens for signals while it is entered; in other threads than the main one, to none.

    Attributes:
        received: Name of the signal that arrived, None so far.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self._may_interrupt = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopSignals":
        """Takes the place of the present handlers."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                # A shell makes its background jobs deaf to Ctrl-C; that choice stands.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        """Puts the present handlers back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Leaves the loop if a signal has arrived.

        Raises:
            Interrupted: If one has.
        """
        if self.received:
            raise Interrupted

    def error(self, step: int, total: int) -> StoppedError:
        """Words the end of a run that was stopped and saved.

        Args:
            step: Updates made.
            total: Updates of the whole run.

        Returns:
            The error to raise.
        """
        what = f"stopped by {self.received} at step {step} of {total}, which is saved"
        return StoppedError(what, fix="repeat the command with --resume to go on")

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Lets a signal break off the body, which must not change the state of the run.

        Yields:
            Nothing.

        Raises:
            Interrupted: When a signal arrives, or has arrived before.
        """
        self.check()
        self._may_interrupt = True
        try:
            yield
        finally:
            self._may_interrupt = False

    def _receive(self, number: int, _: FrameType | None) -> None:
        self.received = signal.Signals(number).name
        for each in self._previous:
            signal.signal(each, signal.SIG_DFL)
        if self._may_interrupt:
            raise Interrupted
