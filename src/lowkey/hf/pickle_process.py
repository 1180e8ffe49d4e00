"""Starts the process that opens pickles, watches it, and words what became of it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

from lowkey.errors import CannotWriteError, DataError, escaped, shown
from lowkey.files import MIB, open_regular

# The process knows only the folders of Python itself: of lowkey and torch it is told the place.
_PROGRAM = (
    "import runpy, sys; places = sys.argv.pop(1), sys.argv.pop(1);"
    "sys.path.insert(0, places[0]); sys.path.append(places[1]);"
    "runpy.run_module('lowkey.hf.pickle_door', run_name='__main__', alter_sys=True)"
)
_ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "",
    "LC_ALL": "C.UTF-8",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
_REFUSED = 3  # as in the process; its module is not imported here
_START_SECONDS = 600  # for Python and torch, on a slow disk of a busy machine
_BYTES_A_SECOND = 10_000_000
_ROOM = 512 * MIB
# One matrix of embeddings under four names is the most that models share.
_GROWTH = 4
_MAX_SAID = 8192

_REASONS = {
    "code": "asks for {about}, which is no tensor and could run code",
    "compressed": "is compressed, which no PyTorch file is",
    "count": "holds no tensors, or far too many",
    "damaged": "is damaged or cut off, or no PyTorch file of tensors by name",
    "growth": f"describes more than {_GROWTH} times the numbers it holds",
    "memory": "asks for more memory than a file of its size needs",
    "name": "holds something under {about}, which is no name of a tensor",
    "no-plain-tensor": "holds {about}, a tensor of a kind that is not supported "
    "(quantised, sparse, complex, float64, or without numbers)",
    "no-table": "holds one value of type {about}, not tensors by name",
    "no-tensor": "holds {about}, which is no tensor",
    "twice": "and another file both hold the tensor {about}",
}
_FIXES = {
    "code": "do not open it elsewhere unless you know who made it",
    "damaged": "fetch it again",
    "no-tensor": "it may be a training checkpoint; a model's weights are tensors by name",
}
_ABSENT = {
    ("network", "calls"): "keep the process that opens the pickle from the network",
    ("memory",): "limit the memory of the process that opens the pickle",
}


def write_from_pickles(files: Sequence[Path], out: Path, *, seconds: int | None = None) -> None:
    """Writes the tensors of pickle files as one safetensors file, which nobody has checked yet.

    Args:
        files: The pickle files.
        out: The file to write.
        seconds: Greatest processor time; None allows what the size of the files needs.

    Raises:
        MissingInputError: If one of the files is not there or is no regular file.
        DataError: If one is not accepted, or the time is over.
        CannotWriteError: If there is no room for the new file.
    """
    with ExitStack() as stack:
        opened = [stack.enter_context(open_regular(file)) for file in files]
        size = 0
        for path, file in zip(files, opened, strict=True):
            _refuse_kind(path, file)
            size += file.seek(0, 2)
            file.seek(0)
        seconds = seconds or 60 + size // _BYTES_A_SECOND
        target = stack.enter_context(open(out, "xb"))
        numbers = [seconds, 2 * size + _ROOM, _GROWTH * size + MIB, target.fileno()]
        said, errors = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
        code = _run(numbers, [file.fileno() for file in opened], said, errors)
        _judge(code, _read(said), _read(errors), files[0], seconds)


def _run(
    numbers: Sequence[int], descriptors: Sequence[int], said: BinaryIO, errors: BinaryIO
) -> int | None:
    """Runs the process to its end, in an empty folder; None if it had to be stopped."""
    words = [_place_of("lowkey"), _place_of("torch"), *numbers, *descriptors]
    with tempfile.TemporaryDirectory(prefix="lowkey-") as empty:
        process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-c", _PROGRAM, *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=errors,
            cwd=empty,
            env=_ENVIRONMENT,
            pass_fds=[numbers[-1], *descriptors],
            start_new_session=True,
        )
        try:
            return process.wait(_START_SECONDS + 2 * numbers[0])
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _judge(code: int | None, said: list[str], errors: list[str], file: Path, seconds: int) -> None:
    """Turns what the process said, which may be a lie, into a result or one line."""
    facts = [_facts(line) for line in said]
    if not facts:
        last = shown(errors[-1], limit=200) if errors else "it said nothing"
        raise RuntimeError(f"the process for pickles ended with {code} before its work: {last}")
    holds = facts[0]
    for measures, wording in _ABSENT.items():
        if not any(holds.get(measure, True) for measure in measures):
            warnings.warn(f"this system offers no way to {wording}", stacklevel=2)
    if code == 0:
        return
    if code is None or code == -signal.SIGXCPU:
        raise DataError(f"{file} took longer than {seconds} s to open and was stopped")
    reason, about = (str(facts[-1].get(key, "")) for key in ("reason", "about"))
    if code != _REFUSED:
        what = f"{file} made the process that opened it break down (exit code {code})"
        raise DataError(what, fix="it is damaged, or was made to harm")
    if reason == "no-room":
        raise CannotWriteError("no room for the converted weights", fix="free space there")
    text = _REASONS.get(reason, _REASONS["damaged"])
    raise DataError(f"{file} {text.format(about=shown(about))}", fix=_FIXES.get(reason))


def _refuse_kind(path: Path, file: BinaryIO) -> None:
    """Says at once what is no pickle; starting the process takes seconds."""
    start = file.read(8)
    if start == b"version ":
        what = f"{path} is a Git LFS pointer, not weights"
        raise DataError(what, fix="run 'git lfs pull' there")
    if not start.startswith((b"\x80", b"PK")):
        kind = "empty (0 bytes)" if not start else "no PyTorch file"
        raise DataError(f"{path} is {kind}", fix="fetch it again")


def _place_of(package: str) -> Path:
    """The folder that holds an installed package, which is not imported."""
    spec = find_spec(package)
    assert spec is not None, "a dependency is installed"
    assert spec.origin is not None, "and is no namespace"
    return Path(spec.origin).parents[1]


def _read(file: BinaryIO) -> list[str]:
    """The last lines that the process wrote, in letters that are safe to show."""
    file.seek(max(0, file.seek(0, 2) - _MAX_SAID))
    lines = file.read(_MAX_SAID).decode("utf-8", errors="replace").splitlines()
    return [escaped(line) for line in lines if line.strip()]


def _facts(line: str) -> dict[str, Any]:
    try:
        facts = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}
