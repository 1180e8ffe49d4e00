"""Modules that compute in the precision of their input and keep theirs."""

import pytest
import torch
from torch import nn

from lowkey.nn.linear import LayerNorm, Linear


@pytest.mark.parametrize(
    ("ours", "theirs"), [(Linear(6, 4), nn.Linear(6, 4)), (LayerNorm(6), nn.LayerNorm(6))]
)
def test_computes_in_the_precision_of_the_input(ours: nn.Module, theirs: nn.Module) -> None:
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(5, 6)
    assert torch.equal(ours(x), theirs(x))
    low = ours(x.bfloat16())
    assert low.dtype == torch.bfloat16
    low.float().sum().backward()
    assert {p.grad.dtype for p in ours.parameters()} == {torch.float32}
