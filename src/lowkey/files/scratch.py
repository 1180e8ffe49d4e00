"""Room on the disk for what is too large for the memory and need not outlive the process.

A scratch file has no name. The system takes its room back when the process ends, however it ends:
nothing is left to be cleared away, and nothing that a later process could take for its own data.
"""

import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lowkey.files.durable import cannot_write


class Scratch:
    """A place for scratch files.

    Args:
        folder: A folder on the disk to use. It need not be there yet: the nearest folder above it
            that is serves as well, and none is made. Not the system's folder for temporary files,
            which on many machines is memory.
        what: What is written, for messages.
        fix: What the user can do besides freeing space, for messages.
    """

    def __init__(self, folder: Path, what: str, fix: str):
        whole = Path(os.path.abspath(folder))
        self.folder = next(path for path in (whole, *whole.parents) if path.is_dir())
        self._what = what
        self._fix = fix

    def file(self) -> "ScratchFile":
        """Opens a new scratch file.

        Returns:
            The file, empty.

        Raises:
            CannotWriteError: If the folder takes none.
        """
        return ScratchFile(self)

    @contextmanager
    def worded(self) -> Iterator[None]:
        """Turns a failure of the disk into one line.

        Yields:
            Nothing.

        Raises:
            CannotWriteError: If the body raises an ``OSError``.
        """
        try:
            yield
        except OSError as error:
            told = cannot_write(f"{self._what} in {self.folder}", self.folder, error)
            told.fix = f"{told.fix}, or {self._fix}" if told.fix else self._fix
            raise told from error


class ScratchFile:
    """Bytes that are appended and then read as if they were in memory.

    They are written, not stored through a mapping: a full disk is then an error of the write,
    where a mapping would have the system end the process.

    Args:
        scratch: Where.

    Raises:
        CannotWriteError: If the folder takes no file.
    """

    def __init__(self, scratch: Scratch):
        self._scratch = scratch
        with scratch.worded():
            self._file = tempfile.TemporaryFile(dir=scratch.folder)  # noqa: SIM115  # by mapped

    def append(self, data: bytes | memoryview) -> None:
        """Adds bytes at the end.

        Args:
            data: The bytes.

        Raises:
            CannotWriteError: If the disk is full or fails.
        """
        with self._scratch.worded():
            self._file.write(data)

    def mapped(self) -> memoryview:
        """Ends the writing and maps the file: pages are read as they are needed and given up again.

        Returns:
            All bytes, which cannot be changed; valid as long as it is held.

        Raises:
            CannotWriteError: If the disk is full or fails.
        """
        with self._scratch.worded(), self._file as file:
            file.flush()
            # A disk behind a network may take what it has no room for, and say so only here.
            os.fsync(file.fileno())
            if not file.tell():  # an empty file cannot be mapped
                return memoryview(b"")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
