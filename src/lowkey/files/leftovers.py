"""The hidden neighbours of a file or folder that is being replaced, and how they are cleared.

``.NAME.tmp-PID`` is new content being written by process PID, ``.NAME.trash-PID`` an old folder
that makes room for a new one.
"""

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path

from lowkey.errors import CannotWriteError


def beside(path: Path, kind: str) -> Path:
    """Names this process's hidden neighbour of a path.

    Args:
        path: The place that is to be written.
        kind: ``tmp`` for the new content, ``trash`` for an old folder.

    Returns:
        A name in the same folder.

    Raises:
        CannotWriteError: If the path is one like ``.`` or ``/``.
    """
    if path.name in ("", ".."):
        raise CannotWriteError(f"{path} has no name of its own", fix="give a name")
    return path.with_name(f".{path.name}.{kind}-{os.getpid()}")


def settle(path: Path) -> None:
    """Clears what killed writers of a file or folder left, and puts back a folder set aside.

    A writer killed between setting the old folder aside and moving the new one in leaves the
    place empty; the old folder returns to it. The leftovers of living processes are not touched.

    Args:
        path: The place that was being written.

    Raises:
        OSError: If the folder set aside cannot be put back.
    """
    for temporary, owner in _leftovers(path, "tmp"):
        if not _lives(owner):
            shutil.rmtree(temporary, ignore_errors=True)
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
    for trash, _ in _leftovers(path, "trash"):
        if path.exists():
            discard(trash, path)
        elif not _is_held(trash):
            os.rename(trash, path)


def discard(trash: Path, path: Path) -> None:
    """Deletes an old folder that was set aside.

    Args:
        trash: Where it stands now; it need not be there.
        path: Where it stood.
    """
    # Under its new name a folder that is half deleted will never be put back.
    doomed = beside(path, "tmp")
    with suppress(OSError):
        os.rename(trash, doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _leftovers(path: Path, kind: str) -> list[tuple[Path, int]]:
    """Lists the hidden neighbours of a path and the processes that made them."""
    prefix = f".{path.name}.{kind}-"
    try:
        names = sorted(os.listdir(path.parent))
    except OSError:
        return []
    owners = {name: name.removeprefix(prefix) for name in names if name.startswith(prefix)}
    return [(path.with_name(name), int(pid)) for name, pid in owners.items() if pid.isdecimal()]


def _is_held(folder: Path) -> bool:
    """Tells whether a living process is just replacing this folder."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # this file system has no locks
    finally:
        os.close(descriptor)
    return False


def _lives(pid: int) -> bool:
    """Tells whether a process runs; this one does not count, its writes are over."""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
