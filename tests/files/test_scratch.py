"""Files without a name: what is appended is read back, and nothing is ever left behind."""

import errno
import io
import os
import signal
import subprocess
import sys
import tempfile

import pytest

from lowkey.errors import CannotWriteError
from lowkey.files import Scratch


def scratch(folder):
    return Scratch(folder, "the pairs", "set data.memory_map: false")


class FullDisk(io.RawIOBase):
    """A disk with room for so many bytes; like a real one it takes what fits, then nothing."""

    def __init__(self, room):
        self.room = room

    def writable(self):
        return True

    def write(self, data):
        fits = min(self.room, len(data))
        self.room -= fits
        if not fits:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return fits


@pytest.mark.parametrize("pieces", [[], [b""], [b"a"], [b"ab", b"", b"c" * 100_000]])
def test_what_was_appended_is_mapped(tmp_path, pieces):
    file = scratch(tmp_path).file()
    for piece in pieces:
        file.append(piece)
    mapped = file.mapped()
    assert bytes(mapped) == b"".join(pieces)
    assert mapped.readonly


def test_the_file_has_no_name_at_any_time(tmp_path):
    file = scratch(tmp_path).file()
    file.append(b"x" * 100_000)
    assert os.listdir(tmp_path) == []
    mapped = file.mapped()
    assert os.listdir(tmp_path) == []
    assert len(mapped) == 100_000


def test_a_folder_that_is_still_to_come_is_not_made(tmp_path, monkeypatch):
    assert scratch(tmp_path / "runs" / "new").folder == tmp_path
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert scratch(tmp_path / "file" / "new").folder == tmp_path
    relative = scratch(type(tmp_path)("runs/new"))
    relative.file().append(b"a")
    assert relative.folder == tmp_path
    assert os.listdir(tmp_path) == ["file"]


def test_a_killed_process_leaves_nothing(tmp_path):
    program = (
        "import os, signal; from pathlib import Path; from lowkey.files import Scratch;"
        f"file = Scratch(Path({str(tmp_path)!r}), 'pairs', 'x').file();"
        "file.append(b'x' * 1_000_000); mapped = file.mapped(); print(len(mapped), flush=True);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.stdout, done.returncode) == (b"1000000\n", -signal.SIGKILL)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("room", [0, 10, 100_000])
def test_a_full_disk_is_told_in_one_line(tmp_path, monkeypatch, room):
    def opened(dir):
        return io.BufferedWriter(FullDisk(room))

    monkeypatch.setattr(tempfile, "TemporaryFile", opened)
    file = scratch(tmp_path).file()

    def write():
        for _ in range(3):
            file.append(b"x" * 50_000)
        file.mapped()

    with pytest.raises(CannotWriteError) as caught:
        write()
    line = str(caught.value)
    assert line.startswith(f"no room for the pairs in {tmp_path}: {tmp_path} has ")
    assert line.endswith("— free space there, or set data.memory_map: false")
    assert caught.value.exit_code == 74
    assert os.listdir(tmp_path) == []


def test_a_folder_that_takes_no_file_is_told(tmp_path, monkeypatch):
    def refused(dir):
        raise PermissionError(errno.EACCES, "Permission denied", str(dir))

    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    with pytest.raises(CannotWriteError) as caught:
        scratch(tmp_path).file()
    wanted = f"cannot write the pairs in {tmp_path}: Permission denied"
    assert str(caught.value) == f"{wanted} — set data.memory_map: false"
