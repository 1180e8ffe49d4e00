"""The running average of the weights, beside torch's own."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel
from training.toy import ToyObjective, newest, trainer

from lowkey.errors import DataError
from lowkey.files import read_tensors
from lowkey.training.moving_average import MovingAverage


def walk(model, steps):
    """Moves the weights about, as an optimizer would."""
    draw = torch.Generator().manual_seed(3)
    for step in range(1, steps + 1):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=draw))
        yield step


def test_equals_the_average_of_torch():
    model = nn.Linear(3, 2).double()
    ours = MovingAverage(dict(model.named_parameters()), decay=0.6)

    def rule(average, current, steps):
        # torch counts from 0 and takes the first weights as they are: here that is our copy.
        decay = min(0.6, (1 + int(steps)) / (10 + int(steps)))
        return decay * average + (1 - decay) * current

    theirs = AveragedModel(model, avg_fn=rule)
    theirs.update_parameters(model)
    for step in walk(model, 30):
        ours.update(step)
        theirs.update_parameters(model)
    for name, parameter in theirs.module.named_parameters():
        assert torch.allclose(ours.tensors[name], parameter, rtol=1e-12, atol=1e-12)
        assert not torch.allclose(ours.tensors[name], dict(model.named_parameters())[name])


def test_the_model_gets_its_own_weights_back_bit_for_bit():
    model = nn.Linear(3, 2)
    average = MovingAverage(dict(model.named_parameters()), decay=0.5)
    for step in walk(model, 3):
        average.update(step)
    own = {name: p.detach().clone() for name, p in model.named_parameters()}

    def fail():
        with average.in_place():
            assert torch.equal(model.weight, average.tensors["weight"])
            assert not torch.equal(model.weight, own["weight"])
            raise RuntimeError("an evaluation that fails")

    with pytest.raises(RuntimeError, match="an evaluation that fails"):
        fail()
    assert all(torch.equal(own[name], p) for name, p in model.named_parameters())


def test_without_a_decay_there_is_none():
    model = nn.Linear(3, 2)
    average = MovingAverage(dict(model.named_parameters()), decay=0.0)
    average.update(1)
    before = model.weight.detach().clone()
    with average.in_place():
        assert torch.equal(model.weight, before)
    assert not average.tensors


def test_another_models_average_is_refused():
    model = nn.Linear(3, 2)
    average = MovingAverage(dict(model.named_parameters()), decay=0.5)
    with pytest.raises(DataError, match="bias is not in the checkpoint"):
        average.restore({"weight": torch.zeros(2, 3)})


@pytest.mark.usefixtures("_no_fsync")
def test_the_average_is_what_is_kept_and_the_weights_are_what_trains(tmp_path):
    objective = ToyObjective()
    trainer(tmp_path / "run", objective, eval_steps=14, save_steps=14).fit()
    checkpoint = newest(tmp_path / "run")
    average = read_tensors(checkpoint / "average.safetensors")
    trained = read_tensors(checkpoint / "model.safetensors")
    best = read_tensors(tmp_path / "run" / "best" / "model.safetensors")
    assert all(torch.equal(best[name], tensor) for name, tensor in average.items())
    assert not torch.equal(trained["up.weight"], average["up.weight"])
    assert torch.equal(objective.model.up.weight.detach(), trained["up.weight"])


@pytest.mark.usefixtures("_no_fsync")
def test_the_average_does_not_change_how_the_run_goes(tmp_path):
    folders = [tmp_path / "with", tmp_path / "without"]
    for folder, decay in zip(folders, (0.9, 0.0), strict=True):
        trainer(folder, ema_decay=decay).fit()
    kept = [read_tensors(newest(folder) / "model.safetensors") for folder in folders]
    assert all(torch.equal(kept[0][name], kept[1][name]) for name in kept[0])
    assert not (newest(folders[1]) / "average.safetensors").exists()
