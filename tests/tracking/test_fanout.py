import json
import sys

import pytest

from lowkey.errors import CannotWriteError, UnavailableError
from lowkey.tracking import tensorboard
from lowkey.tracking.fanout import Fanout, open_trackers
from lowkey.tracking.jsonl import JsonlTracker
from lowkey.tracking.tracker import Tracker


class Remembering:
    """Keeps its calls, and raises in the one it is told to."""

    def __init__(self, fails_in=None):
        self.calls, self.fails_in = [], fails_in

    def __getattr__(self, name):
        def call(*args):
            self.calls.append((name, *args))
            if name == self.fails_in:
                raise ConnectionResetError("lost\nhttps://me:s3cret@host")

        return call


def use(fanout):
    fanout.config({"seed": 1})
    fanout.log(1, {"loss": 0.5})
    fanout.text(1, "samples", "a")
    fanout.image(1, "attention", b"png")
    fanout.close()


EVERY_CALL = [
    ("config", {"seed": 1}),
    ("log", 1, {"loss": 0.5}),
    ("text", 1, "samples", "a"),
    ("image", 1, "attention", b"png"),
    ("close",),
]


def test_every_tracker_gets_everything(tmp_path):
    warnings, trackers = [], {"a": Remembering(), "b": Remembering()}
    fanout = Fanout(JsonlTracker(tmp_path), trackers, warn=warnings.append)
    assert isinstance(fanout, Tracker)
    use(fanout)
    assert trackers["a"].calls == trackers["b"].calls == EVERY_CALL
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"loss": 0.5, "step": 1}
    assert warnings == []


@pytest.mark.parametrize("call", [call for call, *_ in EVERY_CALL])
def test_a_tracker_that_raises_costs_one_warning_and_is_dropped(tmp_path, call):
    warnings, good, bad = [], Remembering(), Remembering(fails_in=call)
    use(Fanout(JsonlTracker(tmp_path), {"bad": bad, "good": good}, warn=warnings.append))
    assert good.calls == EVERY_CALL
    assert bad.calls[-1][0] == call
    assert warnings == ["tracker bad failed and is left out: lost"]
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"loss": 0.5, "step": 1}


def test_a_warning_is_one_line_without_secrets(tmp_path):
    class Bad(Remembering):
        def log(self, step, values):
            raise ValueError("https://me:s3cret@host said\x1b[31m no")

    warnings = []
    use(Fanout(JsonlTracker(tmp_path), {"bad": Bad()}, warn=warnings.append))
    assert warnings == ["tracker bad failed and is left out: https://host said\\x1b[31m no"]


def test_an_interrupt_is_not_a_failing_tracker(tmp_path):
    class Interrupted(Remembering):
        def log(self, step, values):
            raise KeyboardInterrupt

    fanout = Fanout(JsonlTracker(tmp_path), {"a": Interrupted()}, warn=print)
    with pytest.raises(KeyboardInterrupt):
        fanout.log(1, {"loss": 0.5})


def test_the_record_is_never_dropped(tmp_path):
    fanout = Fanout(JsonlTracker(tmp_path), {}, warn=print)
    with open("/dev/full", "r+b", buffering=0) as full:
        fanout.record.metrics.file = full
        for step in (1, 2):
            with pytest.raises(CannotWriteError):
                fanout.log(step, {"loss": 0.5})


def test_the_record_can_be_rewound(tmp_path):
    fanout = Fanout(JsonlTracker(tmp_path), {}, warn=print)
    fanout.log(1, {"loss": 0.5})
    offset = fanout.offset()
    fanout.log(2, {"loss": 0.25})
    fanout.rewind(offset)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"loss": 0.5, "step": 1}\n'


def test_opens_what_is_named_and_jsonl_always(tmp_path):
    fanout = open_trackers(["tensorboard"], tmp_path, warn=print)
    fanout.log(1, {"loss": 0.5})
    fanout.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["metrics.jsonl", "tensorboard", "timings.jsonl"]
    assert list((tmp_path / "tensorboard").glob("events.out.tfevents.*"))


def test_a_tracker_that_fails_to_start_costs_one_warning(tmp_path, monkeypatch):
    def refuse(folder):
        raise PermissionError("read-only")

    monkeypatch.setattr(tensorboard, "TensorBoardTracker", refuse)
    warnings = []
    fanout = open_trackers(["jsonl", "tensorboard"], tmp_path, warn=warnings.append)
    assert warnings == ["tracker tensorboard failed and is left out: read-only"]
    use(fanout)
    assert (tmp_path / "metrics.jsonl").stat().st_size


@pytest.mark.parametrize(
    ("name", "module"), [("tensorboard", "torch.utils.tensorboard"), ("wandb", "wandb")]
)
def test_a_missing_package_is_told(tmp_path, monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UnavailableError, match=f"track: {name}: .* is not installed — pip install"):
        open_trackers([name], tmp_path, warn=print)
