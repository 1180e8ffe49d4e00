"""Trainings as processes of their own: their memory is measured alone, and each can be resumed."""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lowkey.config import dump_recipe, load_recipe
from lowkey.errors import (
    CannotWriteError,
    ConfigError,
    DataError,
    LowkeyError,
    MissingInputError,
    StoppedError,
    UnavailableError,
)
from lowkey.experiments.config import FinetuneRecipe
from lowkey.files import write_text
from lowkey.pipelines.bundle import Facts
from lowkey.run_folder import RunFolder

KINDS = (ConfigError, DataError, MissingInputError, UnavailableError, CannotWriteError)
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class ChildRun:
    """One training that is to be there.

    Attributes:
        name: What messages call it.
        recipe: What to do.
        path: The run folder; recipe and log lie beside it.
    """

    name: str
    recipe: FinetuneRecipe
    path: Path

    @property
    def recipe_file(self) -> Path:
        """Where its recipe lies."""
        return self.path.with_name(f"{self.path.name}.yaml")

    @property
    def log(self) -> Path:
        """Where it writes what it would show."""
        return self.path.with_name(f"{self.path.name}.log")

    def is_finished(self) -> bool:
        """Tells whether it has come to its end.

        Returns:
            Whether its scores and its report are there.

        Raises:
            ConfigError: If the folder holds a run of another recipe.
        """
        folder = RunFolder(self.path)
        if not folder.config_file.exists():
            return False
        if load_recipe(FinetuneRecipe, folder.config_file) != self.recipe:
            raise ConfigError(
                f"{self.path} holds a run of another recipe",
                fix="give this comparison its own folder with --out, or remove that run",
            )
        return is_finished(self.path)


def is_finished(run: Path) -> bool:
    """Tells whether a training has come to its end.

    Args:
        run: The run folder.

    Returns:
        Whether its scores and its report are there.
    """
    try:
        return bool(Facts.read(run / "best").metrics) and RunFolder(run).report_file.exists()
    except LowkeyError:
        return False


def run_all(runs: Sequence[ChildRun], *, jobs: int, say: Callable[[str], None]) -> None:
    """Makes sure that trainings are done: some at a time, and none twice.

    Ctrl-C and SIGTERM reach those that run; they save and stop, and the next call goes on.

    Args:
        runs: The trainings, in the order in which they begin.
        jobs: How many run at a time.
        say: Where a line for each goes.

    Raises:
        StoppedError: If they were stopped.
        LowkeyError: If one fails, of the kind it failed by; the others that run are waited for.
    """
    waiting = deque(enumerate(runs, start=1))
    live: dict[subprocess.Popen[bytes], tuple[int, ChildRun, float]] = {}
    failed: LowkeyError | None = None
    with _stopped_with(live) as stopped:
        while live or (waiting and not failed and not stopped):
            while waiting and len(live) < jobs and not failed and not stopped:
                number, run = waiting.popleft()
                if run.is_finished():
                    say(f"[{number}/{len(runs)}] {run.name}: finished already")
                    continue
                say(f"[{number}/{len(runs)}] {run.name}: begins, see {run.log}")
                live[_start(run)] = (number, run, time.monotonic())
            for process in [one for one in live if one.poll() is not None]:
                number, run, began = live.pop(process)
                if process.returncode == 0:
                    minutes = (time.monotonic() - began) / 60
                    say(f"[{number}/{len(runs)}] {run.name}: done in {minutes:.1f} minutes")
                elif not stopped:
                    failed = failed or _failure(run, process.returncode)
            time.sleep(_POLL_SECONDS)
    if failed:
        raise failed
    if stopped:
        raise StoppedError("the comparison was stopped", fix="repeat the command to go on")


@contextmanager
def _stopped_with(
    live: dict[subprocess.Popen[bytes], tuple[int, ChildRun, float]],
) -> Iterator[list[int]]:
    """Hands Ctrl-C and SIGTERM on to the trainings; yields the signals that came."""
    came: list[int] = []

    def hand_on(number: int, _: object) -> None:
        came.append(number)
        for process in live:
            process.terminate()

    before = {number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _start(run: ChildRun) -> subprocess.Popen[bytes]:
    """Starts a training, or takes up what is left of it."""
    try:
        run.path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWriteError(f"cannot make {run.path.parent}: {error.strerror}") from None
    write_text(run.recipe_file, dump_recipe(run.recipe))
    # -P: a file of the user's, such as random.py, must not take the place of a library.
    command = [sys.executable, "-P", "-m", "lowkey", "finetune", "--config", str(run.recipe_file)]
    command += ["--out", str(run.path)]
    if RunFolder(run.path).config_file.exists():
        command.append("--resume")
    with run.log.open("ab") as log:
        # In a group of its own: Ctrl-C comes by way of this process, once.
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0
        )


def _failure(run: ChildRun, code: int) -> LowkeyError:
    """Says what a training has said last, by the kind of error it ended with."""
    size = run.log.stat().st_size
    with run.log.open("rb") as log:
        log.seek(max(0, size - 4096), os.SEEK_SET)
        lines = log.read().decode("utf-8", "replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    kinds = {kind.exit_code: kind for kind in KINDS}
    why = f": {said[-1]}" if said else f" with exit code {code}"
    return kinds.get(code, LowkeyError)(f"{run.name} failed{why}", fix=f"see {run.log}")
