import io
import sys

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata, plugin_data_pb2

from lowkey.errors import UnavailableError
from lowkey.tracking.tensorboard import TensorBoardTracker
from lowkey.tracking.tracker import Tracker

CANARY = "canary-4bd1f0"


def read(folder):
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def scalars(events, name):
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_all_that_is_written_can_be_read_back(tmp_path):
    picture = io.BytesIO()
    Image.new("RGB", (5, 3), (255, 0, 0)).save(picture, "png")
    tracker = TensorBoardTracker(tmp_path)
    assert isinstance(tracker, Tracker)
    tracker.config(
        {"lora": {"r": 8, "target_modules": ["query", "key"]}, "hf_token": CANARY, "seed": 1}
    )
    tracker.log(10, {"train/loss": 0.5, "time/seconds": 2})
    tracker.log(20, {"train/loss": 0.25})
    tracker.text(20, "samples", "K AE T")
    tracker.image(20, "attention", picture.getvalue())
    tracker.close()

    events = read(tmp_path)
    assert scalars(events, "train/loss") == [(10, 0.5), (20, 0.25)]
    assert scalars(events, "time/seconds") == [(10, 2)]
    [text] = events.Tensors("samples/text_summary")
    assert (text.step, text.tensor_proto.string_val[0]) == (20, b"K AE T")
    [image] = events.Images("attention")
    assert (image.step, image.width, image.height) == (20, 5, 3)
    assert image.encoded_image_string == picture.getvalue()
    content = events.summary_metadata[metadata.SESSION_START_INFO_TAG].plugin_data.content
    hparams = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    assert hparams["lora.r"].number_value == 8
    assert hparams["lora.target_modules"].string_value == "['query', 'key']"
    assert hparams["hf_token"].string_value == "[removed]"
    [file] = tmp_path.iterdir()
    assert CANARY.encode() not in file.read_bytes()


def test_a_resumed_run_replaces_what_came_after_its_checkpoint(tmp_path):
    first = TensorBoardTracker(tmp_path)
    for step in (1, 2, 3, 4):
        first.log(step, {"loss": float(step)})
    first.close()
    second = TensorBoardTracker(tmp_path)
    second.config({"seed": 1})
    for step in (3, 4, 5):
        second.log(step, {"loss": step + 100.0})
    second.close()
    assert scalars(read(tmp_path), "loss") == [(1, 1), (2, 2), (3, 103), (4, 104), (5, 105)]


def test_without_the_package_it_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UnavailableError, match="pip install tensorboard") as caught:
        TensorBoardTracker(tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
