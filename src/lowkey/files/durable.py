"""Writes so that a crash, a kill or a full disk leaves the old content or the new one, whole.

The new content is written under a hidden name beside its place, forced to the disk, and moved
there in one step. What a killed process left behind is cleared by the next write.
"""

import errno
import fcntl
import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lowkey.errors import CannotWriteError, ConfigError
from lowkey.files.leftovers import beside, discard, settle


def write_bytes(path: Path, data: bytes) -> None:
    """Replaces the content of a file, or creates it.

    Args:
        path: The file; its folder must exist. A link or device in its place is refused.
        data: The whole new content.

    Raises:
        CannotWriteError: If it cannot be written. The old content is then still there, except
            when only the last step failed, forcing the folder to the disk.
    """
    temporary = beside(path, "tmp")
    try:
        _refuse_special(path, stat.S_ISREG)
        settle(path)
        try:
            with open(temporary, "xb") as file:  # follows no link; the umask decides the mode
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(str(path), path.parent, error, needed=len(data)) from error


def write_text(path: Path, text: str) -> None:
    """Replaces the content of a file by a text in UTF-8.

    Args:
        path: The file; its folder must exist.
        text: The whole new content; line ends are written as they are.

    Raises:
        CannotWriteError: If it cannot be written; see `write_bytes`.
    """
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Replaces the content of a file by a value as JSON: the same value gives the same bytes.

    Args:
        path: The file; its folder must exist.
        value: What ``json`` can write, without NaN and infinities.

    Raises:
        CannotWriteError: If it cannot be written; see `write_bytes`.
        ValueError: If the value holds NaN or an infinity.
    """
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def refuse_full_folder(folder: Path | None, *, where: str) -> None:
    """Refuses to write where something is already.

    Args:
        folder: The folder to write; None if it is not known yet.
        where: The option that names it, for messages.

    Raises:
        ConfigError: If it holds something, or is no folder.
    """
    if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is not empty", where=where, fix="name a new folder")


@contextmanager
def staged_folder(final: Path) -> Iterator[Path]:
    """Fills a folder out of sight and then puts it in its place in one step.

    An older folder of that name is replaced. If the body raises, or the folder cannot be
    written, the older one stays as it was and nothing else remains.

    Args:
        final: Where the folder is to stand; the folders above it are made.

    Yields:
        The empty folder to fill.

    Raises:
        CannotWriteError: If the folder cannot be made, filled or put in its place.
    """
    stage = beside(final, "tmp")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        _refuse_special(final, stat.S_ISDIR)
        settle(final)
        stage.mkdir()
        yield stage
        _sync_tree(stage)
        _swap_in(stage, final)
    except BaseException as error:
        shutil.rmtree(stage, ignore_errors=True)
        if isinstance(error, OSError):
            raise cannot_write(str(final), final.parent, error) from error
        if isinstance(error, CannotWriteError):  # of the body: the hidden name says nothing
            error.what = error.what.replace(str(stage), str(final))
        raise


def _swap_in(stage: Path, final: Path) -> None:
    """Moves a finished folder to its place, and an older one out of it."""
    trash = beside(final, "trash")
    if final.exists():
        # The lock tells `settle` in other processes that the empty place is about to be filled.
        descriptor = os.open(final, os.O_RDONLY)
        try:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.rename(final, trash)
            try:
                os.rename(stage, final)
            except BaseException:
                os.rename(trash, final)
                raise
        finally:
            os.close(descriptor)
    else:
        os.rename(stage, final)
    try:
        _sync_folder(final.parent)
    finally:
        discard(trash, final)


def _refuse_special(path: Path, accepts: Any) -> None:
    """Refuses a place that holds something else, which a rename would silently destroy."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not accepts(mode):
        wanted = "file" if accepts is stat.S_ISREG else "folder"
        raise CannotWriteError(
            f"{path} is there and is not a plain {wanted}", fix="choose another place"
        )


def _sync_tree(folder: Path) -> None:
    """Forces every file and folder of a tree to the disk."""
    for root, _, names in os.walk(folder, onerror=_raise):
        for name in names:
            descriptor = os.open(Path(root, name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        _sync_folder(Path(root))


def _raise(error: OSError) -> None:
    raise error


def _sync_folder(folder: Path) -> None:
    """Forces the names of a folder to the disk, so that a rename survives a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cannot_write(
    what: str, folder: Path, error: OSError, *, needed: int | None = None
) -> CannotWriteError:
    """Words the failure of a write; of a full disk, with the bytes needed and free.

    Args:
        what: What was to be written.
        folder: A folder on the disk it was to be written to.
        error: What the system said.
        needed: Its size in bytes, where that is known.

    Returns:
        The error to raise.
    """
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return CannotWriteError(f"cannot write {what}: {error.strerror or error}")
    need = "" if needed is None else f" needs {_size(needed)},"
    try:
        free = f" {folder} has {_size(shutil.disk_usage(folder).free)}"
    except OSError:
        free = " the disk is full"
    return CannotWriteError(f"no room for {what}:{need}{free}", fix="free space there")


def _size(count: int) -> str:
    """Writes a number of bytes for people."""
    return f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{count} bytes"
