"""Dropout by its distribution, and its randomness as an argument."""

import pytest
import torch
from torch import nn

from lowkey.nn.dropout import Dropout, keep_bits, keep_where, quantised, set_generator


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_drops_with_probability_p_and_keeps_the_expectation(p: float, dtype: torch.dtype) -> None:
    dropout = Dropout(p)
    dropout.generator = torch.Generator().manual_seed(0)
    x = torch.full((1000, 333), 2.0, dtype=dtype)
    y = dropout(x)
    n = x.numel()
    dropped = int((y == 0).sum())
    assert abs(dropped - n * p) < 5 * (n * p * (1 - p)) ** 0.5
    assert set(y.unique().tolist()) == {
        0.0,
        torch.tensor(2 / (1 - quantised(p)), dtype=torch.float64).to(dtype).item(),
    }


def test_neighbours_are_independent() -> None:
    keep = keep_bits((4, 200_000), 0.5, torch.Generator().manual_seed(3), torch.device("cpu"))
    flat = keep.float().flatten()
    for lag in (1, 2, 3, 4, 8):
        correlation = torch.corrcoef(torch.stack([flat[lag:], flat[:-lag]]))[0, 1]
        assert correlation.abs() < 0.006


def test_the_gradient_passes_where_the_value_passed() -> None:
    dropout = Dropout(0.4)
    x = torch.ones(50, 7, requires_grad=True)
    y = dropout(x)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_the_mask_is_a_function_of_the_generator() -> None:
    model = nn.Sequential(Dropout(0.5), Dropout(0.5))
    generator = torch.Generator()
    set_generator(model, generator)
    x = torch.ones(100)
    before = torch.get_rng_state()
    a, b, c = (model(x) for generator_seed in (1, 1, 2) if generator.manual_seed(generator_seed))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(torch.get_rng_state(), before), "the global state was touched"


def test_evaluation_and_zero_change_nothing() -> None:
    x = torch.randn(5, 3)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x
    with pytest.raises(ValueError, match="below 1"):
        Dropout(1.0)


def test_values_of_any_sign_survive_exactly() -> None:
    x = torch.tensor([-0.0, -3.5, 1e-30, 7.0])
    keep = torch.tensor([-1, 0, -1, -1], dtype=torch.int16)
    assert keep_where(x, keep, 0.5).tolist() == pytest.approx([-0.0, 0.0, 2e-30, 14.0])
