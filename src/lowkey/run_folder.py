"""The layout of a run on disk, and who may use it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lowkey.errors import CannotWriteError, ConfigError, MissingInputError, did_you_mean
from lowkey.files import settle


class RunFolder:
    """Names the files of a run.

    Args:
        path: The folder; nothing is made or checked here.
    """

    def __init__(self, path: Path):
        self.path = path
        self.config_file = path / "config.yaml"
        self.metrics_file = path / "metrics.jsonl"
        self.timings_file = path / "timings.jsonl"
        self.report_file = path / "report.html"
        self.answers_file = path / "answers.jsonl"
        self.checkpoints = path / "checkpoints"
        self.best = path / "best"
        self.tensorboard = path / "tensorboard"

    @classmethod
    def find(cls, path: Path, *, resume: bool) -> "RunFolder":
        """Finds the folder of a new run, or of a stopped one; makes nothing yet.

        Args:
            path: The folder.
            resume: Whether to go on with the run that is there.

        Returns:
            The run.

        Raises:
            ConfigError: If a new run is asked for where there is one.
            MissingInputError: If there is no run to resume.
        """
        run = cls(path)
        if resume and not run.exists():
            fix = "leave out --resume to begin one"
            raise MissingInputError(f"no run to resume in {path}", fix=fix)
        if run.exists() and not resume:
            fix = "add --resume to go on, or --out for a new folder"
            raise ConfigError(f"{path} already holds a run{run.progress()}", fix=fix)
        return run

    @classmethod
    def create(cls, path: Path, *, resume: bool) -> "RunFolder":
        """Makes the folder of a new run, or takes up that of a stopped one.

        Args:
            path: The folder; those above it are made.
            resume: Whether to go on with the run that is there.

        Returns:
            The run.

        Raises:
            ConfigError: If a new run is asked for where there is one.
            MissingInputError: If there is no run to resume.
            CannotWriteError: If the folder cannot be made.
        """
        run = cls.find(path, resume=resume)
        try:
            run.checkpoints.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CannotWriteError(f"cannot make {path}: {error.strerror}") from None
        return run

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Opens a run that holds a trained model.

        Args:
            path: The folder of the run.

        Returns:
            The run.

        Raises:
            MissingInputError: If there is no such folder, no run in it, or no model in the run.
        """
        run = cls(path)
        if not path.is_dir():
            raise MissingInputError(f"no such run {path}", fix=_nearest_folder(path))
        if not run.exists():
            raise MissingInputError(f"{path} is not a run: it holds no config.yaml")
        _settle(run.best)
        if not run.best.is_dir():
            fix = f"let it go on with --resume --out {path}"
            raise MissingInputError(f"{path} holds no trained model yet (no {run.best})", fix=fix)
        return run

    def exists(self) -> bool:
        """Tells whether a run was begun here.

        Returns:
            Whether the folder holds a recipe or a checkpoint.
        """
        return self.config_file.exists() or bool(self._steps())

    def progress(self) -> str:
        """Says how far the run came.

        Returns:
            The step of the last checkpoint in brackets, or nothing if there is none.
        """
        steps = self._steps()
        return f" (step {max(steps)})" if steps else ""

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other processes from writing to the run; the lock dies with the process.

        Yields:
            Nothing.

        Raises:
            ConfigError: If another process holds the run; the message gives its number.
            CannotWriteError: If the lock cannot be made.
        """
        try:
            descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            raise CannotWriteError(f"cannot lock {self.path}: {error.strerror}") from None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
                what = f"{self.path} is in use by process {owner}"
                raise ConfigError(what, fix="wait for it, or use --out for a new folder") from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def _steps(self) -> list[int]:
        """Lists the steps of the checkpoints."""
        found = [path.name.removeprefix("step-") for path in self.checkpoints.glob("step-*")]
        return [int(name) for name in found if name.isdecimal()]


def resolve_bundle(path: Path) -> Path:
    """Finds the model folder that a path means.

    Args:
        path: A run, or a model folder such as its ``best``.

    Returns:
        The model folder.

    Raises:
        MissingInputError: If it is neither.
    """
    run = RunFolder(path)
    if path.is_dir() and run.exists():
        return RunFolder.open(path).best
    _settle(path)
    if not path.exists():
        raise MissingInputError(f"no such run or model folder {path}", fix=_nearest_folder(path))
    if not path.is_dir():
        raise MissingInputError(f"{path} is a file", fix="give the folder of a run or of a model")
    if not any(path.glob("*.safetensors")):
        if (path / "pytorch_model.bin").exists():
            what = f"{path} holds its weights as a pickle, which can run code when opened"
            raise MissingInputError(
                what, fix=f"lowkey convert {path} OUT makes a safe folder of it"
            )
        what = f"{path} is neither a run nor a model folder"
        raise MissingInputError(what, fix="a model folder holds *.safetensors")
    return path


def _settle(folder: Path) -> None:
    """Puts back a folder whose replacement was cut off; a read-only place stays as it is."""
    try:
        settle(folder)
    except OSError as error:
        raise MissingInputError(f"cannot restore {folder}: {error.strerror}") from None


def _nearest_folder(path: Path) -> str | None:
    """Proposes the folder beside a missing one whose name is nearest."""
    try:
        nearest = did_you_mean(path.name, [p.name for p in path.parent.iterdir() if p.is_dir()])
    except OSError:
        return None
    return None if nearest is None else f"did you mean {path.with_name(nearest)}?"
