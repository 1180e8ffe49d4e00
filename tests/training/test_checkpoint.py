import errno
import hashlib
import os
import shutil

import pytest
import torch
from training.faults import at_operation

from lowkey.errors import CannotWriteError, DataError
from lowkey.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
)
from lowkey.training.gradients import DivergedError

FILES = (
    "manifest.json",
    "model.safetensors",
    "optimizer.safetensors",
    "state.json",
    "timings.json",
)


@pytest.fixture(autouse=True)
def _no_fsync(monkeypatch):
    """No power is lost here, and waiting for the disk would take most of the time."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def content(step, *, bad=None):
    draw = torch.Generator().manual_seed(step)
    model = {"a": torch.randn(3, 4, generator=draw), "b": torch.randn(5, generator=draw).bfloat16()}
    optimizer = {
        "a.exp_avg": torch.randn(3, 4, generator=draw),
        "a.step": torch.tensor(float(step)),
    }
    if bad:
        (model | optimizer)[bad].view(-1)[-1] = float("inf")
    return Checkpoint(model, optimizer, {"step": step, "loss": 0.1 + step}, seconds=1.5)


def save(folder, step, keep=1, **options):
    return save_checkpoint(folder, step, content(step, **options), keep=keep, warn=pytest.fail)


def assert_is(path, step):
    saved, expected = load_checkpoint(path), content(step)
    assert path.name == f"step-{step:08d}"
    assert (saved.state, saved.seconds) == (expected.state, expected.seconds)
    for ours, theirs in ((saved.model, expected.model), (saved.optimizer, expected.optimizer)):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
        assert all(ours[name].dtype == theirs[name].dtype for name in ours)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_saved_is_what_is_loaded(tmp_path):
    path = save(tmp_path, 3)
    assert names(path) == sorted(FILES)
    assert newest_checkpoint(tmp_path, warn=pytest.fail) == path
    assert_is(path, 3)
    again = save(tmp_path / "again", 3)
    for name in FILES:
        assert (path / name).read_bytes() == (again / name).read_bytes()
    assert (
        hashlib.sha256((path / "state.json").read_bytes()).hexdigest()
        in (path / "manifest.json").read_text()
    )


def test_retention(tmp_path):
    for step in (1, 2, 3, 4):
        save(tmp_path, step, keep=2)
    assert names(tmp_path) == ["step-00000003", "step-00000004"]
    save(tmp_path, 4, keep=1)
    assert names(tmp_path) == ["step-00000004"]


def test_nothing_saved_yet(tmp_path):
    assert newest_checkpoint(tmp_path / "none", warn=pytest.fail) is None
    assert newest_checkpoint(tmp_path, warn=pytest.fail) is None


@pytest.mark.parametrize("bad", ["a", "b", "a.exp_avg"])
def test_what_is_not_finite_is_not_written(bad, tmp_path):
    save(tmp_path, 1)
    with pytest.raises(DivergedError, match=f"{bad} holds NaN or infinite numbers at step 2"):
        save(tmp_path, 2, bad=bad)
    assert names(tmp_path) == ["step-00000001"]


def damages():
    for name in FILES:
        yield f"{name} deleted", lambda path, name=name: (path / name).unlink()
        yield f"{name} emptied", lambda path, name=name: (path / name).write_bytes(b"")
        yield (
            f"{name} zeroed",
            lambda path, name=name: (path / name).write_bytes(bytes((path / name).stat().st_size)),
        )
        yield (
            f"{name} of the other",
            lambda path, name=name: shutil.copy(path.parent / "step-00000001" / name, path / name),
        )
        yield (
            f"{name} a folder",
            lambda path, name=name: ((path / name).unlink(), (path / name).mkdir()),
        )
    yield "renamed", lambda path: path.rename(path.with_name("step-00000003"))


@pytest.mark.parametrize("damage", [d for _, d in damages()], ids=[n for n, _ in damages()])
def test_a_damaged_checkpoint_is_passed_over_with_one_line(damage, request, tmp_path):
    save(tmp_path, 1, keep=2)
    save(tmp_path, 2, keep=2)
    damage(tmp_path / "step-00000002")
    told = []
    newest = newest_checkpoint(tmp_path, warn=told.append)
    if "timings.json of" in request.node.name:  # 1.5 seconds in both: the same bytes
        assert (newest.name, told) == ("step-00000002", [])
        return
    assert_is(newest, 1)
    assert len(told) == 1
    assert told[0].startswith(f"checkpoint {3 if 'renamed' in request.node.name else 2} is damaged")
    assert "\n" not in told[0]
    if "manifest.json" not in request.node.name and "renamed" not in request.node.name:
        assert request.node.name.split("[")[1].split(" ")[0] in told[0]
    # Going on from there replaces the damaged one, and its future is not taken for the newest.
    save(tmp_path, 2, keep=2)
    assert_is(newest_checkpoint(tmp_path, warn=pytest.fail), 2)
    assert names(tmp_path) == ["step-00000001", "step-00000002"]


def test_flipped_bits_and_truncations_are_noticed(tmp_path):
    path = save(tmp_path, 2)
    draw = torch.Generator().manual_seed(0)
    tried = 0
    for name in FILES:
        data = (path / name).read_bytes()
        bits = torch.randint(8 * len(data), (100,), generator=draw).tolist()
        # Without its last line break a manifest says the same.
        lengths = torch.randint(len(data) - 1, (20,), generator=draw).tolist()
        variants = [
            data[: bit // 8] + bytes([data[bit // 8] ^ (1 << bit % 8)]) + data[bit // 8 + 1 :]
            for bit in bits
        ]
        for variant in variants + [data[:length] for length in lengths]:
            (path / name).write_bytes(variant)
            told = []
            with pytest.raises(DataError, match="none of the 1 checkpoints"):
                newest_checkpoint(tmp_path, warn=told.append)
            assert len(told) == 1
            tried += 1
        (path / name).write_bytes(data)
    assert_is(newest_checkpoint(tmp_path, warn=pytest.fail), 2)
    assert tried == 600


@pytest.mark.parametrize(
    "error",
    [
        errno.ENOSPC,
        pytest.param(errno.EIO, marks=pytest.mark.slow),
        pytest.param(errno.EACCES, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("again", [False, True], ids=["next step", "same step"])
def test_any_file_operation_may_fail(error, again, tmp_path):
    """SQLite's rule: the first operation fails, then the second ..., until a save is untouched."""

    def fail():
        raise OSError(error, "injected")

    nth, failed = 0, 0
    save(tmp_path / "before", 1, keep=2)
    save(tmp_path / "before", 2, keep=2)
    while True:
        nth += 1
        folder = tmp_path / str(nth)
        shutil.copytree(tmp_path / "before", folder)
        step, told = (2 if again else 3), []
        with at_operation(nth, fail) as operations:
            try:
                save_checkpoint(folder, step, content(step), keep=2, warn=told.append)
            except CannotWriteError:
                failed += 1
        seen_by_another = shutil.copytree(folder, tmp_path / f"{nth} copied")
        newest = newest_checkpoint(seen_by_another, warn=pytest.fail)
        assert_is(newest, int(newest.name[5:]))
        assert int(newest.name[5:]) >= 2
        save(folder, 4, keep=2)
        assert [name[-1] for name in names(folder)] in (["3", "4"], ["2", "4"])
        if operations.count < nth:
            break
    assert not told
    assert failed > 20
    print(f"{nth - 1} operations, {failed} of their failures were told")
