import io
import json
import struct
import sys
import time

import pytest
import wandb
from PIL import Image
from wandb.proto.wandb_internal_pb2 import Record

from lowkey.tracking.tracker import Tracker
from lowkey.tracking.wandb import WandbTracker

CANARY = "canary4bd1f0canary4bd1f0canary4bd1f0canary"


def records(path):
    """Reads a ``.wandb`` file: LevelDB's log format behind a header of 7 bytes."""
    data, at, pieces = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:  # a block ends with less room than a header
            at += 32768 - at % 32768
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        pieces += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last piece
            yield Record.FromString(pieces)
            pieces = b""


def contents(folder):
    """Returns the runs, settings, and rows of history of all offline runs, in order."""
    found = [r for path in sorted(folder.glob("wandb/*/*.wandb")) for r in records(path)]
    runs = [r.run for r in found if r.HasField("run")]
    settings = {
        "/".join([item.key, *item.nested_key]): json.loads(item.value_json)
        for record in found
        for item in [*record.config.update, *record.run.config.update]
    }
    rows = [
        {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}
        for items in (r.history.item for r in found if r.HasField("history"))
    ]
    return runs, settings, rows


def test_an_offline_run_holds_all_but_the_secrets(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["lowkey", "--set", f"hub.token={CANARY}"])
    for name in ("HF_TOKEN", "WANDB_API_KEY"):
        monkeypatch.setenv(name, CANARY)
    monkeypatch.delenv("WANDB_MODE")
    folder = tmp_path / "pronounce"
    folder.mkdir()
    picture = io.BytesIO()
    Image.new("RGB", (5, 3)).save(picture, "png")
    tracker = WandbTracker(folder)
    assert isinstance(tracker, Tracker)
    tracker.config({"lora": {"r": 8}, "token": CANARY, "train": f"https://me:{CANARY}@host/x"})
    tracker.log(10, {"train/loss": 0.5, "time/seconds": 2})
    tracker.text(10, "samples", "K AE T")
    tracker.image(10, "attention", picture.getvalue())
    tracker.close()
    time.sleep(1.1)  # wandb names the folder of an offline run by the second
    resumed = WandbTracker(folder)
    resumed.log(5, {"train/loss": 0.25})
    resumed.close()
    wandb.teardown()  # its service may still be writing

    runs, settings, rows = contents(folder)
    assert {run.run_id for run in runs} == {(folder / "wandb-run-id").read_text().strip()}
    assert {(run.project, run.display_name) for run in runs} == {("lowkey", "pronounce")}
    assert settings["lora"] == {"r": 8}
    assert (settings["token"], settings["train"]) == ("[removed]", "https://host/x")
    losses = [(row["step"], row["train/loss"]) for row in rows if "train/loss" in row]
    assert losses == [(10, 0.5), (5, 0.25)]
    [image] = folder.glob("wandb/*/files/media/images/*.png")
    assert Image.open(image).size == (5, 3)
    [table] = folder.glob("wandb/*/files/media/table/*.json")
    assert json.loads(table.read_text())["data"] == [["K AE T"]]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 6
    for path in files:
        assert CANARY.encode() not in path.read_bytes(), path
    assert {path.name for path in tmp_path.iterdir()} == {"pronounce"}


@pytest.mark.parametrize("kept", ["../../x", "UPPER123", ""])
def test_a_spoilt_identity_is_replaced(tmp_path, kept):
    from lowkey.tracking.wandb import _run_id

    path = tmp_path / "wandb-run-id"
    path.write_text(kept)
    made = _run_id(path)
    assert made != kept
    assert path.read_text().strip() == made == _run_id(path)
