import builtins
import errno
import io
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lowkey.errors import CannotWriteError
from lowkey.files import staged_folder, write_bytes, write_json, write_text

FAULTS = [errno.ENOSPC, errno.EIO]
OPERATIONS = ["open", "fsync", "replace", "rename", "mkdir", "listdir", "rmdir", "unlink"]


class Injected(BaseException):
    """Not an exception that the code under test could expect."""


@contextmanager
def fault_at(number: int, strike: Callable[[], None]) -> Iterator[list[str]]:
    """Calls ``strike`` at the operation of that number; yields the names of those done."""
    done: list[str] = []
    patch = pytest.MonkeyPatch()

    def watched(name: str, real: Callable) -> Callable:
        def call(*args: object, **options: object) -> object:
            done.append(name)
            if len(done) == number:
                strike()
            return real(*args, **options)

        return call

    class Watched(io.BufferedWriter):
        write = watched("write", io.BufferedWriter.write)
        flush = watched("flush", io.BufferedWriter.flush)

    def opened(path: Path, mode: str, **options: object) -> io.BufferedIOBase:
        done.append("create")
        if len(done) == number:
            strike()
        return Watched(io.FileIO(path, mode.replace("b", "")))

    for name in OPERATIONS:
        patch.setattr(os, name, watched(name, getattr(os, name)))
    patch.setattr(builtins, "open", opened)
    try:
        yield done
    finally:
        patch.undo()


def replace_file(place: Path, text: str) -> None:
    write_text(place, text)


def replace_folder(place: Path, text: str) -> None:
    with staged_folder(place) as stage:
        write_text(stage / "a.txt", text)
        (stage / "inner").mkdir()
        write_text(stage / "inner" / "b.txt", text)


def content(place: Path) -> set[str]:
    """The texts of a file, or of the files of a folder: one, if it is whole."""
    files = [place] if place.is_file() else [place / "a.txt", place / "inner" / "b.txt"]
    return {file.read_text() for file in files}


def failing(number: int) -> Callable[[], None]:
    def strike() -> None:
        raise OSError(number, os.strerror(number))

    return strike


@pytest.mark.parametrize("replace", [replace_file, replace_folder])
@pytest.mark.parametrize("code", FAULTS)
def test_every_operation_may_fail(tmp_path: Path, replace: Callable, code: int) -> None:
    place = tmp_path / "place"
    replace(place, "old")
    for number in range(1, 200):
        message = None
        with fault_at(number, failing(code)) as done:
            try:
                replace(place, "new")
            except CannotWriteError as error:
                message = str(error)
        if len(done) < number:
            break
        before = done[: number - 1]
        moved = before.count("rename") >= 2 if replace is replace_folder else "replace" in before
        assert content(place) == ({"new"} if moved or message is None else {"old"})
        if message is not None:
            assert str(place) in message
            assert os.listdir(tmp_path) == ["place"]
        replace(place, "old")
        assert content(place) == {"old"}
        assert os.listdir(tmp_path) == ["place"]
    assert number > (8 if replace is replace_file else 25)
    assert content(place) == {"new"}


@pytest.mark.parametrize("replace", [replace_file, replace_folder])
def test_the_process_may_die_at_every_operation(tmp_path: Path, replace: Callable) -> None:
    place = tmp_path / "place"
    replace(place, "old")
    for number in range(1, 200):
        child = os.fork()
        if child == 0:
            with fault_at(number, lambda: os._exit(9)):
                replace(place, "new")
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == 0:
            break
        if place.exists():
            assert content(place) in ({"old"}, {"new"})
        else:  # between two renames: the next writer puts the old one back
            assert any(".trash-" in name for name in os.listdir(tmp_path))
            with pytest.raises(Injected), staged_folder(place):
                raise Injected
            assert content(place) == {"old"}
        replace(place, "old")
        assert content(place) == {"old"}
        assert os.listdir(tmp_path) == ["place"]
    assert number > (8 if replace is replace_file else 25)


def test_the_harness_sees_a_careless_writer(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.write_text("old")
    with (
        fault_at(2, failing(errno.ENOSPC)),
        pytest.raises(OSError, match="No space"),
        open(place, "wb") as file,
    ):
        file.write(b"new")
    assert place.read_text() == ""


def test_all_that_is_written_is_forced_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[int] = set()
    real_sync = os.fsync

    def sync(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        real_sync(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    write_text(tmp_path / "file", "x")
    assert synced == {path.stat().st_ino for path in (tmp_path, tmp_path / "file")}
    with staged_folder(tmp_path / "above" / "place") as stage:
        (stage / "inner").mkdir()
        (stage / "inner" / "written by others.txt").write_text("x")
    assert synced >= {path.stat().st_ino for path in (tmp_path / "above").rglob("*")}
    assert (tmp_path / "above").stat().st_ino in synced


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, Injected])
def test_a_body_that_raises_leaves_the_old_folder(
    tmp_path: Path, error: type[BaseException]
) -> None:
    place = tmp_path / "above" / "place"

    def interrupted() -> None:
        with staged_folder(place) as stage:
            write_text(stage / "a.txt", "new")
            raise error

    with pytest.raises(error):
        interrupted()
    assert os.listdir(place.parent) == []
    replace_folder(place, "old")
    with pytest.raises(error):
        interrupted()
    assert content(place) == {"old"}
    assert os.listdir(place.parent) == ["place"]


def test_a_replaced_folder_keeps_nothing_of_the_old_one(tmp_path: Path) -> None:
    place = tmp_path / "place"
    replace_folder(place, "old")
    with staged_folder(place) as stage:
        assert os.listdir(stage) == []
        write_text(stage / "c.txt", "new")
    assert os.listdir(place) == ["c.txt"]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
def test_the_umask_decides_who_may_read(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        replace_file(tmp_path / "file", "x")
        replace_folder(tmp_path / "folder", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o777 & ~umask


def test_a_full_disk_is_told_with_what_is_needed_and_free(tmp_path: Path) -> None:
    expected = r"no room for .*/file: needs 2 MB, .* has .*\d (MB|bytes) — free space there"
    with fault_at(1, lambda: None) as done:
        write_bytes(tmp_path / "file", b"x")
    number = done.index("fsync") + 1
    with fault_at(number, failing(errno.ENOSPC)), pytest.raises(CannotWriteError, match=expected):
        write_bytes(tmp_path / "file", bytes(2_000_000))


def test_links_and_other_kinds_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("kept")
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "folder", "pipe"):
        with pytest.raises(CannotWriteError, match="not a plain file"):
            write_text(tmp_path / name, "new")
    for name in ("link", "target", "pipe"):
        with pytest.raises(CannotWriteError, match="not a plain folder"):
            replace_folder(tmp_path / name, "new")
    assert (tmp_path / "target").read_text() == "kept"
    assert (tmp_path / "link").is_symlink()


def test_a_place_without_a_folder_or_a_name_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotWriteError, match="No such file or directory"):
        write_text(tmp_path / "absent" / "file", "x")
    with pytest.raises(CannotWriteError, match="no name of its own"):
        replace_folder(Path("."), "x")


def test_json_is_sorted_and_strict(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1.5, "a": ["é", None]})
    expected = '{\n  "a": [\n    "é",\n    null\n  ],\n  "b": 1.5\n}\n'
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == expected
    assert json.loads(expected) == {"b": 1.5, "a": ["é", None]}
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
