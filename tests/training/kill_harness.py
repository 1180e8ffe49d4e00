"""Kills training runs and resumes them; run as a program by test_kill.py.

A fresh process imports torch once, computes nothing, and forks each run: a fork after autograd has
run is not safe, and an import for each run would take most of the time. Half of the kills come at a
random time, the other half at a given file operation of the run, so that many fall into a save.
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
from training.faults import at_operation
from training.toy import digest, trainer

# The first optimizer imports much of torch: once here instead of once in each run.
torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], fused=True)
torch.set_num_threads(1)


def forked(action: Callable[[], object], *, kill_after: float | None = None) -> int:
    """Runs an action in a child and returns the status with which that ended."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def train(folder: Path, *, resume: bool, kill_at: int = -1) -> None:
    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if not resume:
        folder.mkdir()
        (folder / "config.yaml").touch()  # as an experiment writes it before it trains
    with at_operation(kill_at, die) as operations:
        trainer(folder, resume=True).fit(resume=True)
    (folder / "operations").write_text(str(operations.count))


def main(root: Path, kills: int) -> None:
    began = time.perf_counter()
    assert forked(lambda: train(root / "whole", resume=False)) == 0
    seconds = time.perf_counter() - began
    operations = int((root / "whole" / "operations").read_text())
    expected = digest(root / "whole")
    draw = random.Random(0)
    killed = inside = equal = 0
    for trial in range(kills):
        folder = root / str(trial)
        if trial % 2:
            nth = draw.randrange(20, operations)
            status = forked(lambda f=folder, n=nth: train(f, resume=False, kill_at=n))
        else:
            wait = draw.uniform(0.1, 0.9) * seconds
            status = forked(lambda f=folder: train(f, resume=False), kill_after=wait)
        killed += status == -signal.SIGKILL
        inside += any((folder / "checkpoints").glob(".step-*")) or any(folder.glob(".best*"))
        (folder / "config.yaml").touch()
        assert forked(lambda f=folder: train(f, resume=True)) == 0, f"trial {trial}: no resume"
        equal += digest(folder) == expected
        leftovers = [*folder.glob(".*.tmp-*"), *(folder / "checkpoints").glob(".*")]
        assert not leftovers, f"trial {trial}: {leftovers}"
    print(json.dumps({"killed": killed, "inside a save": inside, "equal": equal}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
