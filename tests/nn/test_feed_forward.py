"""The feed-forward network by its formula, and the activation by its name."""

import math

import pytest
import torch
import torch.nn.functional as F

from lowkey.nn.feed_forward import ACTIVATIONS, FeedForward


def test_formula() -> None:
    network = FeedForward(4, 6, "relu")
    x = torch.randn(3, 4)
    inner = (x @ network.up.weight.T + network.up.bias).clamp(min=0)
    expected = inner @ network.down.weight.T + network.down.bias
    torch.testing.assert_close(network(x), expected)


@pytest.mark.parametrize(("name", "function"), [("silu", F.silu), ("gelu", F.gelu)])
def test_gated_formula(name: str, function) -> None:
    network = FeedForward(4, 6, name, gated=True)
    x = torch.randn(3, 4)
    gate = function(F.linear(x, network.gate.weight, network.gate.bias))
    up = F.linear(x, network.up.weight, network.up.bias)
    expected = F.linear(gate * up, network.down.weight, network.down.bias)
    torch.testing.assert_close(network(x), expected)
    # The control: the activation belongs to the gate, not to what it gates.
    network.gate, network.up = network.up, network.gate
    assert (network(x) - expected).abs().max() > 1e-3
    assert FeedForward(4, 6, name).gate is None


@pytest.mark.parametrize("gated", [False, True])
def test_gradcheck_in_float64(gated: bool) -> None:
    torch.manual_seed(0)
    network = FeedForward(4, 6, "gelu", gated=gated).double()
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    leaves = [x, *network.parameters()]

    def run(x: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        names = [name for name, _ in network.named_parameters()]
        named = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(network, named, (x,))

    assert torch.autograd.gradcheck(run, leaves)


@pytest.mark.parametrize("gated", [False, True])
def test_dropout_falls_on_the_inner_features(gated: bool) -> None:
    network = FeedForward(4, 4, "relu", gated=gated, dropout=0.5)
    network.dropout.generator = torch.Generator().manual_seed(0)
    for linear in (network.up, network.gate, network.down):
        if linear is not None:  # the inner features are the inputs, and so are the outputs
            torch.nn.init.eye_(linear.weight)
            torch.nn.init.zeros_(linear.bias)
    torch.nn.init.constant_(network.down.bias, 7.0)
    output = network(torch.ones(5000, 4)) - 7
    assert set(output.unique().tolist()) == {0.0, 2.0}  # behind the activation, before the bias
    assert (output == 0).float().mean().item() == pytest.approx(0.5, abs=0.02)
    assert (network.eval()(torch.ones(5, 4)) == 8).all()


def test_activations_are_what_their_names_say() -> None:
    x = 1.3
    exact = x * 0.5 * (1 + math.erf(x / math.sqrt(2)))
    tanh = 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    values = {
        name: f(torch.tensor(x, dtype=torch.float64)).item() for name, f in ACTIVATIONS.items()
    }
    assert values == pytest.approx(
        {"relu": x, "gelu": exact, "gelu_new": tanh, "silu": x / (1 + math.exp(-x))}, abs=1e-9
    )
    with pytest.raises(ValueError, match="no activation 'tanh'"):
        FeedForward(4, 6, "tanh")
