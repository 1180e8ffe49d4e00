"""How updates begin: against PEFT's own, by distribution where there is chance, else in value."""

import pytest
import torch
from torch import nn

from lowkey.errors import ConfigError
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import inject
from lowkey.lora.layer import LoRALinear
from lowkey.lora.start import principal_factors

STARTS = [True, "gaussian", "orthogonal", "pissa"]


def linear(in_features: int = 12, out_features: int = 7) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(in_features, out_features)


def of_peft(map_: nn.Linear, **options) -> nn.Module:
    """The same map in PEFT: changed in place where the start takes something out of it."""
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(nn.Sequential(map_), LoraConfig(target_modules=["0"], **options))
    return model.base_model.model[0]


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("use_rslora", [False, True])
def test_a_fresh_update_changes_nothing(start, use_rslora: bool) -> None:
    config = LoRAConfig(r=4, lora_alpha=6, init_lora_weights=start, use_rslora=use_rslora)
    x, plain = torch.randn(5, 12), linear()
    layer = LoRALinear(linear(), config)
    torch.testing.assert_close(layer(x), plain(x), atol=1e-5, rtol=0)
    layer.merge()
    torch.testing.assert_close(layer(x), plain(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize("start", STARTS)
def test_an_update_can_learn_from_its_start(start) -> None:
    layer = LoRALinear(linear(), LoRAConfig(r=4, init_lora_weights=start))
    layer(torch.randn(5, 12)).sin().sum().backward()
    grads = [layer.lora_A.weight.grad, layer.lora_B.weight.grad]
    assert any(grad.abs().max() > 1e-3 for grad in grads)


@pytest.mark.parametrize("start", STARTS[:3])
def test_entries_are_drawn_as_in_peft(start) -> None:
    torch.manual_seed(1)
    ours = LoRALinear(nn.Linear(600, 500), LoRAConfig(r=8, init_lora_weights=start))
    theirs = of_peft(nn.Linear(600, 500), r=8, init_lora_weights=start)
    pairs = [(ours.lora_A, theirs.lora_A["default"]), (ours.lora_B, theirs.lora_B["default"])]
    for our, their in pairs:
        torch.testing.assert_close(our.weight.std(), their.weight.std(), atol=0, rtol=0.05)
    # Flat or bell-shaped: the fourth moment tells them apart, 1.8 from 3.
    fourth = [(m.weight**4).mean() / (m.weight**2).mean() ** 2 for m in pairs[0]]
    # Within a few rows, chance decides how much of an orthogonal basis each of them gets.
    atol = 0.8 if start == "orthogonal" else 0.1
    torch.testing.assert_close(*fourth, atol=atol, rtol=0)


def test_starts_differ_and_one_generator_gives_one_start() -> None:
    def draw(start, seed: int) -> torch.Tensor:
        config = LoRAConfig(r=4, init_lora_weights=start)
        layer = LoRALinear(linear(), config, torch.Generator().manual_seed(seed))
        return torch.cat([layer.lora_A.weight.T, layer.lora_B.weight]).detach()

    for start in STARTS[:3]:
        assert torch.equal(draw(start, 1), draw(start, 1))
        assert not torch.equal(draw(start, 1), draw(start, 2))
    assert len({float(draw(start, 1).norm()) for start in STARTS}) == 4


@pytest.mark.parametrize("options", [{"r": 3, "lora_alpha": 6}, {"r": 7, "use_rslora": True}])
def test_pissa_takes_out_what_peft_does(options) -> None:
    ours = LoRALinear(linear(), LoRAConfig(init_lora_weights="pissa", **options))
    theirs = of_peft(linear(), init_lora_weights="pissa", **options)
    torch.testing.assert_close(ours.weight, theirs.base_layer.weight, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        ours.delta_weight(), theirs.get_delta_weight("default"), atol=1e-5, rtol=0
    )
    # What is left has the other singular values, and none of those that were taken.
    left = torch.linalg.svdvals(ours.weight.detach())
    rest = torch.linalg.svdvals(linear().weight.detach())[options["r"] :]
    torch.testing.assert_close(left[: len(rest)], rest, atol=1e-5, rtol=0)
    assert left[len(rest) :].abs().max() < 1e-5


def test_the_factors_against_the_base_are_the_difference_from_it() -> None:
    layer = LoRALinear(linear(), LoRAConfig(r=3, init_lora_weights="pissa"))
    with torch.no_grad():
        layer.lora_A.weight.add_(torch.randn(3, 12))
        layer.lora_B.weight.mul_(0.5)
    a, b = layer.factors_against_base()
    assert (len(a), b.shape[1]) == (6, 6)
    adapted = layer.weight + layer.delta_weight()
    torch.testing.assert_close(
        linear().weight + layer.scaling * (b @ a), adapted, atol=1e-5, rtol=0
    )
    # The control: the trained factors alone are another difference.
    assert (linear().weight + layer.delta_weight() - adapted).abs().max() > 0.1
    plain = LoRALinear(linear(), LoRAConfig(r=3))
    assert torch.equal(plain.factors_against_base()[0], plain.lora_A.weight)


@pytest.mark.parametrize("use_rslora", [False, True])
def test_the_options_against_the_base_keep_the_scale(use_rslora: bool) -> None:
    config = LoRAConfig(
        r=4,
        lora_alpha=6,
        init_lora_weights="pissa",
        use_rslora=use_rslora,
        rank_pattern={"query": 2},
        alpha_pattern={"value": 3},
    )
    again = config.against_base()
    for name in ("query", "key", "value"):
        before, after = config.of_module(name), again.of_module(name)
        assert after.r == 2 * before.r
        assert after.scaling == pytest.approx(before.scaling, rel=1e-12)
    assert again.against_base() == again


def test_the_weight_of_another_module_stays_whole() -> None:
    tied, other = linear(), nn.Linear(12, 7)
    other.weight = tied.weight
    before = other.weight.detach().clone()
    LoRALinear(tied, LoRAConfig(r=3, init_lora_weights="pissa"))
    assert torch.equal(other.weight, before)


def test_merging_a_pissa_is_undone_bit_by_bit() -> None:
    layer = LoRALinear(linear(), LoRAConfig(r=3, init_lora_weights="pissa"))
    original, x = layer.weight.clone(), torch.randn(5, 12)
    plain = layer(x)
    layer.merge()
    torch.testing.assert_close(layer(x), plain, atol=1e-5, rtol=0)
    layer.unmerge()
    assert torch.equal(layer.weight, original)


def test_principal_factors_are_the_nearest_matrix_of_their_rank() -> None:
    weight = torch.randn(9, 6)
    a, b = principal_factors(weight, 2, 0.5)
    missing = (weight - 0.5 * b @ a).square().sum()
    torch.testing.assert_close(missing, torch.linalg.svdvals(weight)[2:].square().sum())
    torch.testing.assert_close(a @ a.T, b.T @ b, atol=1e-5, rtol=0)  # each has one half


def test_ranks_that_a_start_cannot_have_are_refused() -> None:
    with pytest.raises(ValueError, match="orthogonal needs even ranks — set r"):
        LoRAConfig(r=8, rank_pattern={"query": 3}, init_lora_weights="orthogonal")
    with pytest.raises(ValueError, match="pissa is saved at twice its r"):
        LoRAConfig(r=513, init_lora_weights="pissa")
    with pytest.raises(ValueError, match="pissa is saved at twice its r and lora_alpha"):
        LoRAConfig(alpha_pattern={"query": 6e5}, init_lora_weights="pissa")
    model = nn.Sequential(linear(), nn.Linear(7, 7))
    config = LoRAConfig(
        r=8,
        init_lora_weights="pissa",
        target_modules=["0", "1"],
        modules_to_save=[],
        rank_pattern={"1": 2},
    )
    with pytest.raises(ConfigError, match="takes 8 singular values of each weight, 0 has 7 — set"):
        inject(model, config)
    assert all(parameter.requires_grad for parameter in model.parameters())
