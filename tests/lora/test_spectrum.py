"""Spectra and smaller ranks, beside a dense decomposition and Eckart and Young's theorem."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lowkey.lora.config import LoRAConfig
from lowkey.lora.layer import LoRALinear
from lowkey.lora.spectrum import (
    Spectrum,
    decompose_difference,
    decompose_update,
    difference_spectrum,
    set_update,
)

SIZES = st.integers(1, 12)


def adapted(out: int, inner: int, rank: int, *, seed: int = 0, **options: object) -> LoRALinear:
    """A linear map with a random update."""
    generator = torch.Generator().manual_seed(seed)
    module = LoRALinear(nn.Linear(inner, out), LoRAConfig(r=rank, **options), generator)
    nn.init.normal_(module.lora_B.weight, generator=generator)
    return module


def dense(module: LoRALinear) -> Tensor:
    """The update as a whole matrix, in float64."""
    a, b = module.lora_A.weight.detach().double(), module.lora_B.weight.detach().double()
    return module.scaling * (b @ a)


@settings(deadline=None, max_examples=60)
@given(out=SIZES, inner=SIZES, rank=SIZES, seed=st.integers(0, 99), rslora=st.booleans())
def test_singular_values_are_those_of_the_dense_update(
    out: int, inner: int, rank: int, seed: int, rslora: bool
) -> None:
    module = adapted(out, inner, rank, seed=seed, lora_alpha=3.5, use_rslora=rslora)
    found = decompose_update(module)
    assert len(found.spectrum.values) == min(out, inner, rank)
    oracle = torch.linalg.svdvals(dense(module))[: min(out, inner, rank)]
    torch.testing.assert_close(found.spectrum.values, oracle, atol=1e-12, rtol=1e-9)
    for basis in (found.left.T, found.right):
        torch.testing.assert_close(basis @ basis.T, torch.eye(len(basis)).double())
    assert found.spectrum.norm == pytest.approx(float(dense(module).norm()))


@settings(deadline=None, max_examples=60)
@given(out=SIZES, inner=SIZES, rank=SIZES, fewer=SIZES, seed=st.integers(0, 99))
def test_no_update_of_a_smaller_rank_is_nearer(
    out: int, inner: int, rank: int, fewer: int, seed: int
) -> None:
    module = adapted(out, inner, rank, seed=seed)
    whole, found = dense(module), decompose_update(module)
    set_update(module, found, rank=fewer, scaling=0.7)
    assert module.lora_A.weight.shape == (fewer, inner)
    assert module.lora_B.weight.shape == (out, fewer)
    lost = float((whole - dense(module)).norm())
    assert lost**2 == pytest.approx(
        (1 - found.spectrum.kept(fewer)) * found.spectrum.norm**2, abs=1e-5
    )
    generator = torch.Generator().manual_seed(seed)
    for _ in range(5):
        b = torch.randn(out, fewer, generator=generator).double()
        # Of all factors A, the best one for these directions.
        other = b @ torch.linalg.lstsq(b, whole, driver="gelsd").solution
        assert lost <= float((whole - other).norm()) + 1e-5


def test_the_factors_are_balanced_and_the_scaling_is_in_front_of_them() -> None:
    module = adapted(9, 6, 4, lora_alpha=32)
    whole = dense(module)
    x = torch.randn(3, 6, generator=torch.Generator().manual_seed(1))
    before = module(x)
    set_update(module, decompose_update(module), rank=4, scaling=0.25)
    assert module.scaling == 0.25
    a, b = module.lora_A.weight, module.lora_B.weight
    torch.testing.assert_close(a @ a.T, b.T @ b, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(dense(module), whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(module(x), before, atol=1e-5, rtol=1e-5)
    assert a.requires_grad
    assert b.requires_grad
    set_update(module, decompose_update(module), rank=1, scaling=0.25)
    assert (
        float((module(x) - before).detach().abs().max()) > 0.1
    )  # so equality above is no accident


def test_a_merged_update_is_not_replaced() -> None:
    module = adapted(4, 4, 2)
    found = decompose_update(module)
    module.merge()
    with pytest.raises(ValueError, match="unmerge the adapter first"):
        set_update(module, found, rank=1, scaling=1.0)


@settings(deadline=None, max_examples=30)
@given(out=SIZES, inner=SIZES, seed=st.integers(0, 99))
def test_the_difference_of_two_weights_is_decomposed(out: int, inner: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    base, tuned = (torch.randn(out, inner, generator=generator) for _ in range(2))
    found = decompose_difference(tuned, base)
    rebuilt = found.left @ found.spectrum.values.diag() @ found.right
    torch.testing.assert_close(rebuilt, tuned.double() - base.double())
    alone = difference_spectrum(tuned, base)
    torch.testing.assert_close(alone.values, found.spectrum.values)
    a, b = found.factors(min(out, inner), 2.0)
    torch.testing.assert_close(2 * b @ a, tuned - base, atol=1e-5, rtol=1e-5)


@settings(deadline=None)
@given(
    values=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=8),
    factor=st.floats(0.01, 100),
    share=st.floats(0.01, 1.0),
)
def test_effective_rank_and_shares_are_those_of_the_definition(
    values: list[float], factor: float, share: float
) -> None:
    ordered = sorted(values, reverse=True)
    spectrum = Spectrum(torch.tensor(ordered).double())
    shares = [value / sum(ordered) for value in ordered]
    entropy = -sum(p * math.log(p) for p in shares)
    assert spectrum.effective_rank == pytest.approx(math.exp(entropy))
    assert 1 - 1e-9 <= spectrum.effective_rank <= len(values) + 1e-9
    scaled = Spectrum(factor * spectrum.values)
    assert scaled.effective_rank == pytest.approx(spectrum.effective_rank)
    rank = spectrum.rank_for(share)
    squares = [value**2 for value in ordered]
    assert spectrum.kept(rank) == pytest.approx(sum(squares[:rank]) / sum(squares))
    assert spectrum.kept(rank) >= share - 1e-9
    assert rank == 1 or spectrum.kept(rank - 1) < share


@pytest.mark.parametrize("count", [1, 3, 7])
def test_equal_values_count_each_and_others_less(count: int) -> None:
    assert Spectrum(torch.full((count,), 2.5).double()).effective_rank == pytest.approx(count)
    uneven = Spectrum(torch.tensor([1.0, 1e-4, 1e-9]).double())
    assert uneven.effective_rank == pytest.approx(1, abs=2e-3)
    # The last one is what rounding leaves; the one before it is not.
    assert (uneven.rank_for(0.99), uneven.rank_for(1.0)) == (1, 2)


def test_a_fresh_update_is_zero_and_loses_nothing() -> None:
    module = LoRALinear(nn.Linear(5, 4), LoRAConfig(r=2))
    spectrum = decompose_update(module).spectrum
    assert (spectrum.norm, spectrum.effective_rank) == (0, 0)
    assert (spectrum.kept(1), spectrum.rank_for(0.99)) == (1, 1)
    set_update(module, decompose_update(module), rank=1, scaling=2.0)
    assert float(module.delta_weight().detach().abs().max()) == 0
