import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lowkey.errors import CannotWriteError, ConfigError, LowkeyError, MissingInputError
from lowkey.run_folder import RunFolder, resolve_bundle


def begun(path: Path, *, steps: tuple[int, ...] = (), best: bool = False) -> RunFolder:
    run = RunFolder.create(path, resume=False)
    run.config_file.touch()
    for step in steps:
        (run.checkpoints / f"step-{step:08d}").mkdir()
    if best:
        run.best.mkdir()
        (run.best / "model.safetensors").touch()
    return run


def refused(error: type[LowkeyError], message: str) -> "pytest.RaisesExc":
    return pytest.raises(error, match=message)


def test_a_new_run_makes_its_folders(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "runs" / "one", resume=False)
    assert run.checkpoints.is_dir()
    assert run.path.name == "one"
    # Not yet a run: a start that failed before the recipe was written may be repeated.
    RunFolder.create(run.path, resume=False)


def test_a_run_is_not_written_over(tmp_path: Path) -> None:
    begun(tmp_path / "run", steps=(9, 4200))
    with refused(ConfigError, r"run already holds a run \(step 4200\) — add --resume"):
        RunFolder.create(tmp_path / "run", resume=False)
    assert RunFolder.create(tmp_path / "run", resume=True).path == tmp_path / "run"


def test_a_checkpoint_alone_makes_a_run(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", steps=(1,))
    run.config_file.unlink()
    with refused(ConfigError, "already holds a run"):
        RunFolder.create(tmp_path / "run", resume=False)


def test_a_hidden_half_written_checkpoint_is_no_run(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", resume=False)
    (run.checkpoints / ".step-00000001.tmp-17").mkdir()
    assert not run.exists()


def test_there_must_be_a_run_to_resume(tmp_path: Path) -> None:
    with refused(MissingInputError, "no run to resume in"):
        RunFolder.create(tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with refused(CannotWriteError, "cannot make"):
        RunFolder.create(tmp_path / "run", resume=False)


def test_only_a_run_with_a_model_opens(tmp_path: Path) -> None:
    begun(tmp_path / "good", best=True)
    assert RunFolder.open(tmp_path / "good").best == tmp_path / "good" / "best"
    with refused(MissingInputError, r"no such run .*god — did you mean .*/good\?"):
        RunFolder.open(tmp_path / "god")
    with refused(MissingInputError, "holds no trained model yet"):
        RunFolder.open(begun(tmp_path / "early").path)
    with refused(MissingInputError, "is not a run"):
        RunFolder.open(tmp_path)


def test_a_bundle_is_found_through_its_run_and_by_itself(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", best=True)
    assert resolve_bundle(run.path) == resolve_bundle(run.best) == run.best
    with refused(MissingInputError, r"no such run or model folder .* did you mean .*/run\?"):
        resolve_bundle(tmp_path / "rnu")
    with refused(MissingInputError, "is a file"):
        resolve_bundle(run.config_file)
    with refused(MissingInputError, "is neither a run nor a model folder"):
        resolve_bundle(tmp_path)


@pytest.mark.parametrize("through", ["run", "run/best"])
def test_a_best_model_whose_replacement_was_cut_off_is_put_back(
    tmp_path: Path, through: str
) -> None:
    run = begun(tmp_path / "run", best=True)
    run.best.rename(run.path / f".best.trash-{os.getpid()}")
    assert (resolve_bundle(tmp_path / through) / "model.safetensors").exists()


HOLDER = """
import sys, time
from pathlib import Path
from lowkey.run_folder import RunFolder
with RunFolder(Path(sys.argv[1])).lock():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_told_who_holds_the_run(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    command = [sys.executable, "-c", HOLDER, str(run.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with refused(ConfigError, f"is in use by process {holder.pid}"), run.lock():
            pass
        holder.kill()
        holder.wait()
    with run.lock():  # the lock died with its process
        assert (run.path / ".lock").read_text() == f"{os.getpid()}\n"
    with run.lock():
        pass


def test_a_lock_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with refused(CannotWriteError, "cannot lock"), RunFolder(tmp_path / "absent").lock():
        pass


def test_of_many_simultaneous_starts_one_wins(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    go = tmp_path / "go"
    program = f"""
import sys, time
from pathlib import Path
from lowkey.errors import ConfigError
from lowkey.run_folder import RunFolder
while not Path({str(go)!r}).exists(): time.sleep(0.001)
try:
    with RunFolder(Path({str(run.path)!r})).lock(): print("won", flush=True); sys.stdin.read()
except ConfigError as error: print("lost" if "in use by process" in str(error) else error)
"""
    pipe = subprocess.PIPE
    starts = [
        subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, text=True)
        for _ in range(8)
    ]
    time.sleep(0.2)
    go.touch()
    lines = [start.stdout.readline().strip() for start in starts if start.stdout]
    for start in starts:
        start.communicate()
    assert sorted(lines) == ["lost"] * 7 + ["won"]
