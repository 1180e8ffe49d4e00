"""The mean of the last checkpoints, beside a mean taken by hand."""

from pathlib import Path

import pytest
import torch
from experiments.tasks import finetuning, translating

from lowkey.errors import ConfigError, DataError, MissingInputError
from lowkey.experiments.average import average
from lowkey.experiments.finetune import finetune
from lowkey.experiments.translation import train
from lowkey.files import read_tensors
from lowkey.pipelines.load import load

KEPT = ("train.max_steps=4", "train.save_steps=1", "train.save_total_limit=3")


def checkpoint(run: Path, step: int) -> dict[str, torch.Tensor]:
    return read_tensors(run / "checkpoints" / f"step-{step:08d}" / "model.safetensors")


def test_weights_are_the_mean_of_the_last_checkpoints(folder: Path) -> None:
    train(translating(*KEPT), folder / "run")
    assert average(folder / "run", last=2, out=folder / "mean") == [3, 4]
    averaged = dict(load(folder / "mean").model.named_parameters())
    three, four = checkpoint(folder / "run", 3), checkpoint(folder / "run", 4)
    assert averaged.keys() == three.keys()
    moved = 0
    for name, tensor in averaged.items():
        mean = torch.stack([three[name], four[name]]).double().mean(0).float()
        assert torch.equal(tensor.detach(), mean)
        moved += not torch.equal(mean, four[name])
    assert moved
    assert load(folder / "mean").facts.metrics == {}
    assert load(folder / "mean").translate(["a b"])


def test_equal_checkpoints_have_themselves_as_mean(folder: Path) -> None:
    train(translating(*KEPT, "train.learning_rate=1e-30"), folder / "run")
    average(folder / "run", last=3, out=folder / "mean")
    averaged = dict(load(folder / "mean").model.named_parameters())
    last = checkpoint(folder / "run", 4)
    for name, tensor in last.items():  # with this rate a bias of 0 becomes about 1e-30
        assert torch.allclose(averaged[name].detach(), tensor, rtol=0, atol=1e-29)


def test_a_fully_trained_classifier_can_be_averaged(folder: Path) -> None:
    finetune(finetuning(*KEPT, "method=full", "calibrate=true"), folder / "run")
    average(folder / "run", last=3, out=folder / "mean")
    opened = load(folder / "mean")
    # What was measured of other weights, and fitted to them, is not said of these.
    assert load(folder / "run").facts.calibration is not None
    assert (opened.facts.calibration, opened.facts.metrics, opened.facts.notes) == (None, {}, [])
    averaged = dict(opened.model.named_parameters())
    steps = [checkpoint(folder / "run", step) for step in (2, 3, 4)]
    for name in steps[0]:
        mean = torch.stack([tensors[name] for tensors in steps]).double().mean(0).float()
        assert torch.equal(averaged[name].detach(), mean)


def test_factors_of_lora_are_not_averaged(folder: Path) -> None:
    finetune(finetuning(*KEPT), folder / "run")
    with pytest.raises(ConfigError, match="the mean of its factors is not the mean of its updates"):
        average(folder / "run", last=2, out=folder / "mean")
    assert not (folder / "mean").exists()


def test_too_few_checkpoints_and_a_full_folder_are_told(folder: Path) -> None:
    train(translating(*KEPT), folder / "run")
    with pytest.raises(MissingInputError, match="keeps 3 checkpoints, 5 are to be averaged — aver"):
        average(folder / "run", last=5, out=folder / "mean")
    with pytest.raises(ConfigError, match="is not empty"):
        average(folder / "run", last=2, out=folder / "run" / "best")


def test_a_damaged_checkpoint_is_not_averaged(folder: Path) -> None:
    train(translating(*KEPT), folder / "run")
    path = folder / "run" / "checkpoints" / "step-00000003" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="is not what manifest"):
        average(folder / "run", last=2, out=folder / "mean")
    assert not (folder / "mean").exists()
