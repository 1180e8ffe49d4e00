"""The feed-forward network by its formula, and the activation by its name."""

import math

import pytest
import torch

from lowkey.nn.feed_forward import ACTIVATIONS, FeedForward


def test_formula() -> None:
    network = FeedForward(4, 6, "relu")
    x = torch.randn(3, 4)
    inner = (x @ network.up.weight.T + network.up.bias).clamp(min=0)
    expected = inner @ network.down.weight.T + network.down.bias
    torch.testing.assert_close(network(x), expected)


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
