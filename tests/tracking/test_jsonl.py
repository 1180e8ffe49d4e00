import json
import math
import resource
import signal

import numpy as np
import pytest

from lowkey.errors import CannotWriteError, DataError
from lowkey.tracking.jsonl import JsonlTracker
from lowkey.tracking.tracker import Tracker


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_one_line_a_call_and_seconds_apart(tmp_path):
    tracker = JsonlTracker(tmp_path)
    assert isinstance(tracker, Tracker)
    tracker.log(1, {"train/loss": 0.1, "time/seconds": 2.5, "count": 3})
    tracker.log(2, {"time/seconds": 3.0})
    tracker.log(3, {"eval/loss": np.float64(0.5)})
    # Read before it is closed: every line is out at once.
    assert lines(tmp_path / "metrics.jsonl") == [
        {"count": 3, "step": 1, "train/loss": 0.1},
        {"eval/loss": 0.5, "step": 3},
    ]
    assert lines(tmp_path / "timings.jsonl") == [
        {"step": 1, "time/seconds": 2.5},
        {"step": 2, "time/seconds": 3.0},
    ]
    tracker.close()


def test_equal_runs_have_equal_bytes_whatever_their_times(tmp_path):
    for run, seconds in (("a", 1.0), ("b", 2.0)):
        (tmp_path / run).mkdir()
        tracker = JsonlTracker(tmp_path / run)
        values = {"z": 1 / 3, "a": 1e-7, "time/seconds": seconds}
        tracker.log(1, values if run == "a" else dict(reversed(values.items())))
        tracker.close()
    a, b = ((tmp_path / run / "metrics.jsonl").read_bytes() for run in "ab")
    assert a == b == b'{"a": 1e-07, "step": 1, "z": 0.3333333333333333}\n'


def test_what_is_not_finite_is_null(tmp_path):
    tracker = JsonlTracker(tmp_path)
    tracker.log(1, {"nan": math.nan, "infinite": -math.inf, "huge": 1e308})
    assert lines(tmp_path / "metrics.jsonl") == [
        {"huge": 1e308, "infinite": None, "nan": None, "step": 1}
    ]


@pytest.mark.parametrize("reopened", [False, True])
def test_rewinding_and_going_on_equals_never_stopping(tmp_path, reopened):
    (tmp_path / "whole").mkdir()
    whole, tracker = JsonlTracker(tmp_path / "whole"), JsonlTracker(tmp_path)
    for step in range(4):
        whole.log(step, {"loss": step / 7})
    for step in (0, 1):
        tracker.log(step, {"loss": step / 7, "time/seconds": 1.0})
    checkpoint = tracker.offset()
    assert checkpoint == (tmp_path / "metrics.jsonl").stat().st_size
    tracker.log(2, {"loss": 99.0})
    if reopened:
        tracker.close()
        with open(tmp_path / "metrics.jsonl", "ab") as file:
            file.write(b'{"loss": 0.4, "st')  # the process was killed
        tracker = JsonlTracker(tmp_path)
    tracker.rewind(checkpoint)
    for step in (2, 3):
        tracker.log(step, {"loss": step / 7})
    assert (tmp_path / "metrics.jsonl").read_bytes() == (
        tmp_path / "whole" / "metrics.jsonl"
    ).read_bytes()
    assert len(lines(tmp_path / "timings.jsonl")) == 2
    tracker.rewind(0)
    assert (tmp_path / "metrics.jsonl").read_bytes() == b""


def test_a_line_cut_short_is_dropped_when_the_run_goes_on(tmp_path):
    (tmp_path / "timings.jsonl").write_bytes(b'{"step": 1, "time/a": 1.0}\n{"step": 2, "ti')
    JsonlTracker(tmp_path).log(2, {"time/a": 2.0})
    assert [line["step"] for line in lines(tmp_path / "timings.jsonl")] == [1, 2]


@pytest.mark.parametrize("offset", [10, 1000])
def test_an_offset_that_does_not_fit_the_file_is_refused(tmp_path, offset):
    tracker = JsonlTracker(tmp_path)
    tracker.log(1, {"loss": 0.5})
    with pytest.raises(DataError, match=r"metrics\.jsonl: .*the checkpoint counts"):
        tracker.rewind(offset)
    assert lines(tmp_path / "metrics.jsonl") == [{"loss": 0.5, "step": 1}]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(CannotWriteError, match=r"metrics\.jsonl: Is a directory"):
        JsonlTracker(tmp_path)


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").write_text("mine\n")
    (tmp_path / "metrics.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CannotWriteError):
        JsonlTracker(tmp_path)
    assert (tmp_path / "elsewhere").read_text() == "mine\n"


def test_a_full_disk_is_one_line_and_leaves_whole_lines(tmp_path):
    tracker = JsonlTracker(tmp_path)
    tracker.log(1, {"loss": 0.5})
    _, unlimited = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (tracker.offset() + 10, unlimited))
        with pytest.raises(CannotWriteError, match=r"metrics\.jsonl: File too large"):
            tracker.log(2, {"loss": 0.25})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    tracker.log(3, {"loss": 0.125})
    assert [line["step"] for line in lines(tmp_path / "metrics.jsonl")] == [1, 3]
