"""Checkpoints that survive: a folder that is whole or not there, and proves it by its hashes.

``step-00000120/`` holds the trained weights, their running average if there is one, the state of
the optimizer, the state of the run, its clock, and a manifest with the size and SHA-256 of each of
them, written last. The folder is filled out of sight, forced to the disk and moved to its place in
one step. The newest one whose manifest holds is the one to go on from; an older one is deleted only
when a newer one has been verified.
"""

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lowkey import files
from lowkey.errors import CannotWriteError, DataError, LowkeyError, MissingInputError
from lowkey.training.gradients import DivergedError

Warn = Callable[[str], None]

_FORMAT = 1
_FILES = ("model.safetensors", "optimizer.safetensors", "state.json", "timings.json")
_AVERAGE = "average.safetensors"
_NAME = re.compile(r"step-(\d{8,})")
_LEFTOVER = re.compile(r"\.(step-\d{8,})\.(?:tmp|trash)-\d+")
_TRASH = ".trash-"


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to go on.

    Attributes:
        model: The trained parameters by name.
        optimizer: The state of the optimizer by name.
        state: Where the run stands, as JSON values; equal in equal runs.
        seconds: Time the run took so far, which is not.
        average: The running average of the parameters by name; empty where there is none.
    """

    model: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    state: Mapping[str, Any]
    seconds: float
    average: Mapping[str, Tensor] = field(default_factory=dict)


def save_checkpoint(
    folder: Path, step: int, checkpoint: Checkpoint, *, keep: int, warn: Warn
) -> Path:
    """Saves a checkpoint, verifies it, and only then lets older ones go.

    Args:
        folder: The folder of all checkpoints of the run.
        step: Number of updates made.
        checkpoint: What to save.
        keep: How many checkpoints to keep, at least 1.
        warn: Takes a line of warning if old ones cannot be deleted.

    Returns:
        The folder of the checkpoint.

    Raises:
        DivergedError: If a tensor holds NaN or an infinity; then nothing is written.
        CannotWriteError: If it cannot be written; the checkpoints before it are as they were.
    """
    for tensors in (checkpoint.model, checkpoint.optimizer, checkpoint.average):
        for name, tensor in tensors.items():
            if not torch.isfinite(tensor).all():
                what = f"{name} holds NaN or infinite numbers at step {step}; it was not saved"
                raise DivergedError(what, fix="lower train.learning_rate")
    path = folder / f"step-{step:08d}"
    try:
        with files.staged_folder(path) as stage:
            files.write_tensors(stage / "model.safetensors", checkpoint.model)
            files.write_tensors(stage / "optimizer.safetensors", checkpoint.optimizer)
            if checkpoint.average:
                files.write_tensors(stage / _AVERAGE, checkpoint.average)
            files.write_json(stage / "state.json", checkpoint.state)
            files.write_json(stage / "timings.json", {"seconds": checkpoint.seconds})
            files.write_json(stage / "manifest.json", _manifest(stage, step))
        verify(path)
    except (DataError, MissingInputError) as error:
        what = f"{path} does not come back as it was written ({error})"
        raise CannotWriteError(what, fix="check the disk") from error
    retain(folder, step, keep=keep, warn=warn)
    return path


def retain(folder: Path, step: int, *, keep: int, warn: Warn) -> None:
    """Removes all but the newest checkpoints, and what killed processes left behind.

    A checkpoint beyond ``step`` is of a future that was lost (it was damaged, or the run would
    have gone on from it), and must not be taken for the newest.

    Args:
        folder: The folder of all checkpoints of the run.
        step: The newest checkpoint, which has been verified.
        keep: How many checkpoints to keep, at least 1.
        warn: Takes a line of warning if one cannot be deleted.
    """
    try:
        _sweep(folder)
        steps = saved_checkpoints(folder)
        kept = sorted(number for number in steps if number <= step)[-keep:]
        for number in sorted(steps.keys() - set(kept)):
            # Out of sight first: a folder that is being deleted must not look like a checkpoint.
            trash = folder / f"{_TRASH}{steps[number].name}"
            steps[number].rename(trash)
            shutil.rmtree(trash)
    except OSError as error:
        warn(f"cannot delete old checkpoints in {folder}: {error.strerror}")


def newest_checkpoint(folder: Path, *, warn: Warn) -> Path | None:
    """Finds the newest checkpoint that is whole.

    Args:
        folder: The folder of all checkpoints of the run.
        warn: Takes a line of warning for each damaged checkpoint, naming file and step.

    Returns:
        The folder of the checkpoint; None if the run has not saved any yet.

    Raises:
        DataError: If there are checkpoints but all are damaged.
    """
    if not folder.is_dir():
        return None
    _sweep(folder)
    steps = saved_checkpoints(folder)
    for step in sorted(steps, reverse=True):
        try:
            verify(steps[step])
        except LowkeyError as error:
            warn(f"checkpoint {step} is damaged and passed over: {error}")
        else:
            return steps[step]
    if steps:
        what = f"none of the {len(steps)} checkpoints in {folder} is whole"
        raise DataError(what, fix="start anew with another --out")
    return None


def verify(path: Path) -> None:
    """Compares a checkpoint with its manifest.

    Args:
        path: The folder of the checkpoint.

    Raises:
        DataError: If a file differs from what the manifest says, or the manifest is none.
        MissingInputError: If a file is not there.
    """
    found = files.read_json(path / "manifest.json")
    match = _NAME.fullmatch(path.name)
    expected = _manifest(path, int(match[1]) if match else -1)
    if found == expected:
        return
    listed = found.get("files") if isinstance(found, dict) else None
    for name in expected["files"]:
        if isinstance(listed, dict) and listed.get(name) != expected["files"][name]:
            raise DataError(f"{path / name} is not what manifest.json says")
    raise DataError(f"{path / 'manifest.json'} is not the manifest of {path.name}")


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint that ``newest_checkpoint`` has verified.

    Args:
        path: The folder of the checkpoint.

    Returns:
        Its content; the tensors on the CPU.

    Raises:
        DataError: If a file is not what it should be.
        MissingInputError: If a file is not there.
    """
    timings = files.read_json(path / "timings.json")
    if not isinstance(timings, dict) or not isinstance(timings.get("seconds"), float):
        raise DataError(f"{path / 'timings.json'} holds no seconds")
    average = path / _AVERAGE
    return Checkpoint(
        average=files.read_tensors(average) if average.exists() else {},
        model=files.read_tensors(path / "model.safetensors"),
        optimizer=files.read_tensors(path / "optimizer.safetensors"),
        state=files.read_json(path / "state.json"),
        seconds=timings["seconds"],
    )


def _manifest(path: Path, step: int) -> dict[str, Any]:
    """Describes the files that stand in a folder."""
    entries = {}
    for name in (*_FILES, *([_AVERAGE] if (path / _AVERAGE).exists() else [])):
        sha256 = files.sha256_of(path / name)
        entries[name] = {"sha256": sha256, "size": (path / name).stat().st_size}
    return {"files": entries, "format": _FORMAT, "step": step}


def _sweep(folder: Path) -> None:
    """Removes what killed processes left behind."""
    for name in _names(folder):
        leftover = _LEFTOVER.fullmatch(name)
        if leftover:
            files.settle(folder / leftover[1])
        elif name.startswith(_TRASH):
            shutil.rmtree(folder / name)


def saved_checkpoints(folder: Path) -> dict[int, Path]:
    """Lists the folders that have the name of a checkpoint; they are not verified.

    Args:
        folder: The folder of all checkpoints of a run.

    Returns:
        The folder of each, by its step.
    """
    matches = filter(None, map(_NAME.fullmatch, _names(folder)))
    return {int(match[1]): folder / match[0] for match in matches}


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())
