import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lowkey.errors import CannotWriteError
from lowkey.files import settle
from lowkey.files.leftovers import beside


def dead_process() -> int:
    """The number of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def folder(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "a.txt").write_text(text)
    return path


def test_leftovers_of_dead_writers_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    dead, alive = dead_process(), os.getppid()
    (tmp_path / f".best.tmp-{alive}").touch()
    (tmp_path / f".best.tmp-{dead}").touch()
    folder(tmp_path / f".best.tmp-{os.getpid()}", "mine")
    others = {f".best.tmp-{alive}", ".other.tmp-1", ".best.tmp-x", "best"}
    for name in others:
        (tmp_path / name).touch()
    settle(tmp_path / "best")
    assert set(os.listdir(tmp_path)) == others


def test_a_folder_set_aside_returns_to_an_empty_place(tmp_path: Path) -> None:
    folder(tmp_path / f".best.trash-{dead_process()}", "old")
    settle(tmp_path / "best")
    assert (tmp_path / "best" / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["best"]


def test_a_folder_set_aside_is_cleared_when_the_place_is_taken(tmp_path: Path) -> None:
    folder(tmp_path / f".best.trash-{dead_process()}", "old")
    folder(tmp_path / "best", "new")
    settle(tmp_path / "best")
    assert (tmp_path / "best" / "a.txt").read_text() == "new"
    assert os.listdir(tmp_path) == ["best"]


def test_a_folder_that_is_just_being_replaced_is_left_alone(tmp_path: Path) -> None:
    trash = folder(tmp_path / ".best.trash-1", "old")
    descriptor = os.open(trash, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    settle(tmp_path / "best")
    assert os.listdir(tmp_path) == [".best.trash-1"]
    os.close(descriptor)
    settle(tmp_path / "best")
    assert os.listdir(tmp_path) == ["best"]


def test_a_place_that_is_not_there_needs_no_clearing(tmp_path: Path) -> None:
    settle(tmp_path / "absent" / "best")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", [".", "/", "..", "a/.."])
def test_a_path_needs_a_name(name: str) -> None:
    with pytest.raises(CannotWriteError, match="no name"):
        beside(Path(name), "tmp")
