"""What the door accepts, and what it writes; here without the walls around it."""

import os

import pytest
import safetensors.torch
import torch
from pickles import Calls, compressed, saved

from lowkey.hf import pickle_door

GOOD = {"a": torch.arange(6.0).reshape(2, 3), "ids": torch.arange(4)}


def load(path, data):
    path.write_bytes(data)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return pickle_door._load(torch, descriptor)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("old", [False, True])
def test_tensors_are_read_from_both_formats(tmp_path, old):
    found = load(tmp_path / "x", saved(GOOD, old=old))
    assert found.keys() == GOOD.keys()
    assert all(torch.equal(found[name], GOOD[name]) for name in GOOD)


def test_what_is_written_the_library_reads_bit_for_bit(tmp_path):
    numbers = torch.arange(24).reshape(4, 6)
    tensors = {str(name): numbers.to(getattr(torch, name)) for name in pickle_door._DTYPES}
    tensors |= {"turned": numbers.T, "part": numbers[1:3, ::2], "scalar": torch.tensor(1.5)}
    tensors |= {"empty": torch.zeros(0, 3), "é": torch.zeros(1), "tied": tensors["float32"]}
    found = load(tmp_path / "x", saved(tensors))
    with open(tmp_path / "y", "wb") as file:
        pickle_door._write(found, file, 10**6)
    read = safetensors.torch.load_file(tmp_path / "y")
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert (read[name].dtype, read[name].shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(read[name], tensor)
    with safetensors.safe_open(tmp_path / "y", "pt") as opened:
        assert opened.metadata() == {"format": "pt"}


def test_a_parameter_is_a_tensor(tmp_path):
    found = load(tmp_path / "x", saved({"a": torch.nn.Parameter(torch.ones(2))}))
    assert torch.equal(found["a"], torch.ones(2))
    assert not found["a"].requires_grad


@pytest.mark.parametrize(
    ("value", "reason", "about"),
    [
        ([torch.ones(1)], "no-table", "list"),
        (torch.ones(1), "no-table", "Tensor"),
        ({}, "count", ""),
        ({"model": {"a": torch.ones(1)}}, "no-tensor", "model"),
        ({"epoch": 3}, "no-tensor", "epoch"),
        ({3: torch.ones(1)}, "name", "3"),
        ({"": torch.ones(1)}, "name", ""),
        ({"a\x1b[31m": torch.ones(1)}, "name", "a\x1b[31m"),
        ({"__metadata__": torch.ones(1)}, "name", "__metadata__"),
        ({"a": torch.ones(1, dtype=torch.float64)}, "no-plain-tensor", "a"),
        ({"a": torch.ones(1, dtype=torch.complex64)}, "no-plain-tensor", "a"),
        ({"a": torch.ones(2, 2).to_sparse()}, "no-plain-tensor", "a"),
        ({"a": torch.ones(1, device="meta")}, "no-plain-tensor", "a"),
    ],
)
def test_nothing_but_plain_tensors_by_name_is_accepted(tmp_path, value, reason, about):
    with pytest.raises(pickle_door._RefusedError) as error:
        load(tmp_path / "x", saved(value))
    assert (error.value.reason, error.value.about) == (reason, about)


def test_a_tensor_that_grows_and_a_compressed_file_are_refused(tmp_path):
    found = load(tmp_path / "x", saved({"a": torch.ones(1).expand(10**12)}))
    with (
        open(tmp_path / "y", "wb") as file,
        pytest.raises(pickle_door._RefusedError, match="growth"),
    ):
        pickle_door._write(found, file, 10**6)
    assert (tmp_path / "y").read_bytes() == b""
    with pytest.raises(pickle_door._RefusedError, match="compressed"):
        load(tmp_path / "x", compressed(saved(GOOD)))


def reason_of(tmp_path, data):
    try:
        load(tmp_path / "x", data)
    except Exception as error:
        return pickle_door._reason(error), pickle_door._asked_for(error)
    return None


def test_what_a_file_that_wants_to_run_code_asks_for_is_told(tmp_path):
    for old in (False, True):
        data = saved({"a": Calls(os.system, f"touch {tmp_path}/marker")}, old=old)
        assert reason_of(tmp_path, data) == ("code", f"{os.name}.system")
        assert not (tmp_path / "marker").exists()
    torch.load(tmp_path / "x", weights_only=False)  # so the test would see it
    assert (tmp_path / "marker").exists()


@pytest.mark.parametrize("old", [False, True])
def test_a_file_cut_off_or_overwritten_is_damaged(tmp_path, old):
    good = saved({"a": torch.arange(5000.0)}, old=old)
    for data in (good[:-1000], good[:100], good[:2], good[:40] + b"\xff" * 400 + good[440:]):
        assert reason_of(tmp_path, data) == ("damaged", "")


def test_memory_and_room_that_run_out_are_told_apart():
    assert pickle_door._reason(MemoryError()) == "memory"
    assert pickle_door._reason(OSError(28, "No space left on device")) == "no-room"
    assert pickle_door._reason(OSError(5, "Input/output error")) == "damaged"
