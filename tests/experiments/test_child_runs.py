import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import tiny_tasks
from experiments.tasks import finetuning

from lowkey.errors import ConfigError, DataError, StoppedError
from lowkey.experiments import child_runs
from lowkey.experiments.child_runs import ChildRun, is_finished, run_all
from lowkey.experiments.finetune import finetune
from lowkey.pipelines.bundle import Facts


def child(name: str) -> ChildRun:
    return ChildRun(name, finetuning(), Path("out") / name)


@pytest.fixture
def processes(folder, monkeypatch):
    """Lets short programs take the place of trainings: by the name of the run; all are kept."""
    monkeypatch.setattr(child_runs, "_POLL_SECONDS", 0.01)
    programs, kept = {}, []

    def start(run):
        run.path.parent.mkdir(parents=True, exist_ok=True)
        with run.log.open("ab") as log:
            command = [sys.executable, "-c", programs.get(run.name, "")]
            process = subprocess.Popen(command, stdout=log, stderr=log, process_group=0)
        kept.append((run.name, process, sum(other.poll() is None for _, other, _ in kept)))
        return process

    monkeypatch.setattr(child_runs, "_start", start)
    return programs, kept


def test_no_more_run_at_a_time_than_are_allowed_and_their_order_is_kept(processes):
    programs, kept = processes
    names = [f"run {i}" for i in range(5)]
    programs |= dict.fromkeys(names, "import time; time.sleep(0.2)")
    said = []
    run_all([child(name) for name in names], jobs=2, say=said.append)
    assert [name for name, _, _ in kept] == names
    assert max(others for _, _, others in kept) == 1
    assert said[0] == "[1/5] run 0: begins, see out/run 0.log"
    assert sum("done in" in line for line in said) == 5


def test_a_failure_is_told_by_its_kind_and_the_last_line(processes):
    programs, kept = processes
    programs["bad"] = "print('x'); import sys; print('rows.jsonl:3: no label'); sys.exit(65)"
    programs["long"] = "import time; time.sleep(0.5); open('finished', 'w')"
    with pytest.raises(DataError) as caught:
        run_all([child(name) for name in ("long", "bad", "never")], jobs=2, say=lambda line: None)
    assert str(caught.value) == "bad failed: rows.jsonl:3: no label — see out/bad.log"
    assert Path("finished").exists()  # what ran beside it was waited for
    assert [name for name, _, _ in kept] == ["long", "bad"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_all_that_run_and_they_may_save(processes, number):
    programs, kept = processes
    program = (
        "import signal, sys, time, pathlib\n"
        "def save(*_):\n    pathlib.Path('saved-{0}').touch(); sys.exit(75)\n"
        "signal.signal(signal.SIGTERM, save); pathlib.Path('ready-{0}').touch(); time.sleep(60)"
    )
    programs |= {name: program.format(name) for name in ("a", "b")}

    def interrupt():
        while not (Path("ready-a").exists() and Path("ready-b").exists()):
            pass
        os.kill(os.getpid(), number)

    before = signal.signal(number, signal.getsignal(number))
    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(StoppedError, match="repeat the command to go on"):
        run_all([child(name) for name in ("a", "b", "c")], jobs=2, say=lambda line: None)
    assert Path("saved-a").exists()
    assert Path("saved-b").exists()
    assert [name for name, _, _ in kept] == ["a", "b"]
    assert signal.getsignal(number) is before


def test_what_is_finished_is_not_begun_and_another_recipe_is_refused(processes):
    _, kept = processes
    run = child("done")
    assert not run.is_finished()
    finetune(run.recipe, run.path)
    assert is_finished(run.path)
    said = []
    run_all([run], jobs=1, say=said.append)
    assert said == ["[1/1] done: finished already"]
    assert kept == []
    other = ChildRun("done", finetuning("train.seed=7"), run.path)
    with pytest.raises(ConfigError, match="holds a run of another recipe"):
        run_all([other], jobs=1, say=said.append)
    # A run whose scores or report are missing is not at its end.
    Facts.read(run.path / "best").model_copy(update={"metrics": {}}).write(run.path / "best")
    assert not run.is_finished()


def test_a_training_in_a_process_of_its_own_is_the_same_as_in_this_one(folder):
    tiny_tasks.write_jsonl(folder / "data" / "test.jsonl", tiny_tasks.labelled_rows(20, 7))
    recipe = finetuning("data.test=data/test.jsonl")
    run = ChildRun("own", recipe, Path("out") / "own")
    said = []
    run_all([run], jobs=1, say=said.append)
    finetune(recipe, Path("here"))
    for name in ("metrics.jsonl", "answers.jsonl"):
        assert (run.path / name).read_bytes() == (Path("here") / name).read_bytes()
    assert run.recipe_file.exists()
    assert "saved" in run.log.read_text()
