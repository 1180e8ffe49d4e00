import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kills", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_a_killed_run_resumes_by_itself_to_the_same_bytes(kills, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "training.kill_harness", str(tmp_path), str(kills)],
        cwd=TESTS,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=60 + 8 * kills,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    print(counts)
    assert counts["equal"] == kills
    # Every other kill comes at a chosen operation; the rest come at a time, and where the machine
    # is busy a run may have ended by then.
    assert counts["killed"] >= kills // 2
    assert counts["inside a save"] >= kills // 7
