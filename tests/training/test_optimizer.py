import pytest
import torch
from torch import nn
from training.toy import ToyModel, config

from lowkey.errors import ConfigError, DataError
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import inject
from lowkey.training.optimizer import build_optimizer, optimizer_tensors, restore_optimizer
from lowkey.training.parameters import restore_parameters, trainable_parameters
from lowkey.training.rates import rates_by_ending
from lowkey.training.resume import Trained


def stepped(model, *, steps=3):
    optimizer = build_optimizer(model, config())
    for step in range(steps):
        for parameter in trainable_parameters(model).values():
            parameter.grad = torch.full_like(parameter, 0.1 * (step + 1))
        optimizer.step()
    return optimizer


def test_biases_and_norms_do_not_decay():
    model = ToyModel()
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups = build_optimizer(model, config(weight_decay=0.1)).param_groups
    found = {group["weight_decay"]: [names[p] for p in group["params"]] for group in groups}
    assert found == {
        0.1: ["down.weight", "up.weight"],
        0.0: ["down.bias", "norm.bias", "norm.weight", "up.bias"],
    }


def test_a_factor_of_the_rate_holds_for_the_names_it_is_for():
    model = ToyModel()
    optimizer = build_optimizer(
        model, config(), rates_by_ending({"up.weight": 16.0, "up.bias": 2.0})
    )
    rates = {p: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    usual = config().learning_rate
    found = {name: rates[p] / usual for name, p in parameters(model).items() if rates[p] != usual}
    assert found == {"up.weight": 16.0, "up.bias": 2.0}
    # The first step of Adam is as long as the rate, whatever the gradient.
    trained = Trained.of(model, config(), rates_by_ending({"up.weight": 16.0}))
    before = {name: p.detach().clone() for name, p in trained.parameters.items()}
    for parameter in trained.parameters.values():
        parameter.grad = torch.ones_like(parameter)
    trained.step(1e-3, 1)
    after = trained.parameters
    moved = {name: float((old - after[name].detach()).mean()) for name, old in before.items()}
    assert moved.pop("up.weight") == pytest.approx(16e-3, rel=1e-3)
    assert list(moved.values()) == pytest.approx([1e-3] * len(moved), rel=1e-3)


def test_lora_plus_gives_a_and_b_the_rates_that_peft_gives_them():
    from peft import LoraConfig, get_peft_model
    from peft.optimizers import create_loraplus_optimizer

    ours = nn.Sequential(nn.Linear(4, 3))
    options = LoRAConfig(target_modules=["0"], modules_to_save=[], loraplus_lr_ratio=16)
    inject(ours, options)
    theirs = get_peft_model(nn.Sequential(nn.Linear(4, 3)), LoraConfig(target_modules=["0"]))
    optimizers = (
        build_optimizer(ours, config(), rates_by_ending(options.rates)),
        create_loraplus_optimizer(
            theirs, torch.optim.AdamW, lr=config().learning_rate, loraplus_lr_ratio=16
        ),
    )
    found = []
    for model, optimizer in zip((ours, theirs), optimizers, strict=True):
        rates = {p: group["lr"] for group in optimizer.param_groups for p in group["params"]}
        named = {n: p for n, p in model.named_parameters() if p.requires_grad}
        found.append({kind: rates[p] for n, p in named.items() for kind in "AB" if f"_{kind}" in n})
    assert found[0] == found[1]
    assert found[0]["B"] == 16 * found[0]["A"]


def test_the_update_is_that_of_plain_adamw():
    """torch's unfused AdamW is the oracle; the betas and epsilon of the recipe arrive."""
    options = {"adam_beta1": 0.8, "adam_beta2": 0.98, "adam_epsilon": 1e-3, "weight_decay": 0.2}
    ours, theirs = nn.Linear(3, 2, bias=False), nn.Linear(3, 2, bias=False)
    theirs.load_state_dict(ours.state_dict())
    optimizer = build_optimizer(ours, config(**options))
    assert optimizer.defaults["fused"]
    oracle = torch.optim.AdamW(
        theirs.parameters(), lr=0.02, betas=(0.8, 0.98), eps=1e-3, weight_decay=0.2, foreach=False
    )
    for step in range(5):
        for model, each in ((ours, optimizer), (theirs, oracle)):
            model.weight.grad = torch.linspace(-1, 1, 6).view(2, 3) * (step + 1)
            each.step()
    torch.testing.assert_close(ours.weight, theirs.weight, atol=1e-6, rtol=0)


def test_state_comes_back_under_the_names_of_the_parameters():
    model = ToyModel()
    optimizer = stepped(model)
    saved = {name: t.clone() for name, t in optimizer_tensors(optimizer, parameters(model)).items()}
    assert saved.keys() == {
        f"{name}.{key}" for name in parameters(model) for key in ("step", "exp_avg", "exp_avg_sq")
    }
    other = ToyModel()
    restore_parameters(
        parameters(other), {n: p.detach().clone() for n, p in parameters(model).items()}
    )
    resumed = build_optimizer(other, config())
    restore_optimizer(resumed, parameters(other), saved)
    for each, net in ((optimizer, model), (resumed, other)):
        for parameter in parameters(net).values():
            parameter.grad = torch.ones_like(parameter)
        each.step()
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def parameters(model):
    return trainable_parameters(model)


def test_tied_parameters_are_listed_once():
    model = nn.ModuleDict({"b": nn.Linear(2, 2, bias=False), "a": nn.Linear(2, 2, bias=False)})
    model["a"].weight = model["b"].weight
    assert list(parameters(model)) == ["b.weight"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("up.bias.exp_avg"), "optimizer state of up.bias does not fit"),
        (
            lambda s: s.update({"up.bias.step": torch.ones(2)}),
            "optimizer state of up.bias does not",
        ),
        (lambda s: s.update({"x.step": torch.ones(())}), "optimizer state x.step belongs to no"),
    ],
)
def test_state_that_does_not_fit_is_refused(change, words):
    model = ToyModel()
    saved = optimizer_tensors(stepped(model), parameters(model))
    change(saved)
    with pytest.raises(DataError, match=words):
        restore_optimizer(build_optimizer(model, config()), parameters(model), saved)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("up.bias"), "up.bias is not in the checkpoint"),
        (lambda s: s.update(extra=torch.ones(1)), "extra is not in the model"),
        (
            lambda s: s.update({"up.bias": torch.ones(3, dtype=torch.bfloat16)}),
            "up.bias is 3 bfloat16 in the checkpoint and 16 float32 in the model",
        ),
    ],
)
def test_weights_of_another_model_are_refused(change, words):
    model = ToyModel()
    saved = {name: torch.zeros_like(p) for name, p in parameters(model).items()}
    change(saved)
    with pytest.raises(DataError, match=words):
        restore_parameters(parameters(model), saved)
    assert all(bool(p.any()) for p in model.parameters())


def test_nothing_to_train():
    with pytest.raises(ConfigError, match="no parameter to train"):
        build_optimizer(ToyModel().requires_grad_(False), config())
