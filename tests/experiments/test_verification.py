"""Bundles are opened by a new process before they are called saved."""

import json
from pathlib import Path

import pytest
import torch
from experiments.tasks import finetuning, translating
from safetensors.torch import load_file, save_file

from lowkey.errors import DataError
from lowkey.experiments import verification as room
from lowkey.experiments.finetune import finetune
from lowkey.experiments.translation import train

RUN = Path("run")
real = room._in_new_process


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(
        "lowkey.training.progress.PlainProgress.note", lambda _, text: lines.append(text)
    )
    return lines


@pytest.mark.parametrize("make", ["lora", "train"])
def test_a_new_process_computes_what_was_trained(folder, said, monkeypatch, make):
    monkeypatch.setattr(room, "_in_new_process", real)
    if make == "train":
        train(translating("train.max_steps=2"), RUN)
    else:
        finetune(finetuning(f"method={make}", "train.max_steps=2"), RUN)
    (line,) = (line for line in said if line.startswith("saved: "))
    assert line.startswith("saved: run/best (a new process opened it: largest difference")
    assert float(line.rpartition(" ")[2].rstrip(")")) < 1e-6
    assert (RUN / "best" / "README.md").read_text().startswith("---\nlibrary_name: lowkey\n")


def test_a_bundle_that_computes_something_else_is_not_called_saved(folder, said, monkeypatch):
    monkeypatch.setattr(room, "_in_new_process", real)
    finetune(finetuning("train.max_steps=2"), RUN)
    said.clear()
    path = RUN / "best" / "adapter_model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith("classifier.bias"))
    tensors[name] = tensors[name] + torch.tensor([0.1, 0.0])
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(
        DataError, match=r"does not compute what was trained: .* differs by 1\.0e-01"
    ):
        room.verified(RUN / "best", base="bert", precision="fp32")
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(DataError, match=r"cannot be opened by a new process: .*adapter_model"):
        room.verified(RUN / "best", base="bert", precision="fp32")


@pytest.mark.parametrize(
    ("precision", "gap", "fine"),
    [("fp32", 9e-5, True), ("fp32", 1e-3, False), ("bf16", 0.04, True), ("bf16", 0.2, False)],
)
def test_only_rounding_is_allowed(tmp_path, monkeypatch, precision, gap, fine):
    (tmp_path / "probe.json").touch()
    monkeypatch.setattr(room, "_in_new_process", lambda folder, base: gap)
    if fine:
        assert room.verified(tmp_path, base=None, precision=precision).startswith("saved: ")
        return
    with pytest.raises(DataError, match="does not compute what was trained"):
        room.verified(tmp_path, base=None, precision=precision)


def test_what_is_no_number_is_no_equality(tmp_path, monkeypatch):
    (tmp_path / "probe.json").touch()
    monkeypatch.setattr(room, "_in_new_process", lambda folder, base: float("nan"))
    with pytest.raises(DataError, match="differs by nan"):
        room.verified(tmp_path, base=None, precision="fp32")


def test_labels_in_another_order_are_noticed(folder):
    finetune(finetuning("train.max_steps=2", "method=full"), RUN)
    path = RUN / "best" / "probe.json"
    probe = json.loads(path.read_text())
    assert len(probe["rows"]) == 8
    assert len(probe["numbers"]) == 16
    path.write_text(json.dumps({**probe, "numbers": probe["numbers"][::-1]}))
    with pytest.raises(DataError, match="does not compute what was trained"):
        room.verified(RUN / "best", base="bert", precision="fp32")
    path.write_text(json.dumps({**probe, "numbers": probe["numbers"][1:]}))
    with pytest.raises(DataError, match="16 numbers where 15 were"):
        room.verified(RUN / "best", base="bert", precision="fp32")
    path.unlink()
    assert "comes from an earlier version" in room.verified(
        RUN / "best", base="bert", precision="fp32"
    )


def test_bf16_is_compared_in_bf16(folder, said):
    finetune(finetuning("train.max_steps=2", "train.precision=bf16"), RUN)
    assert json.loads((RUN / "best" / "probe.json").read_text())["precision"] == "bf16"
    assert any(line.startswith("saved: ") for line in said)
