"""One adapted linear map: its formula, its gradients, merging and taking apart."""

import math

import pytest
import torch
from torch import nn

from lowkey.lora.config import LoRAConfig
from lowkey.lora.layer import LoRALinear
from lowkey.nn.dropout import set_generator


def make(bias: bool = True, **options) -> LoRALinear:
    torch.manual_seed(0)
    layer = LoRALinear(nn.Linear(12, 7, bias=bias), LoRAConfig(r=3, lora_alpha=6, **options))
    nn.init.normal_(layer.lora_B.weight)  # with B = 0 every equality below would be free
    return layer


def formula(layer: LoRALinear, x: torch.Tensor) -> torch.Tensor:
    update = layer.lora_B.weight @ layer.lora_A.weight * layer.scaling
    y = x @ (layer.weight + update).T
    return y if layer.bias is None else y + layer.bias


@pytest.mark.parametrize("bias", [True, False])
def test_is_the_formula_in_value_and_gradient(bias: bool) -> None:
    layer = make(bias)
    x = torch.randn(2, 5, 12)
    leaves = [x.clone().requires_grad_(), *layer.parameters()]
    (layer(leaves[0]).sin()).sum().backward()
    found = [leaf.grad.clone() for leaf in leaves]
    for leaf in leaves:
        leaf.grad = None
    torch.testing.assert_close(layer(x), formula(layer, x), atol=1e-5, rtol=0)
    formula(layer, leaves[0]).sin().sum().backward()
    for ours, leaf in zip(found, leaves, strict=True):
        torch.testing.assert_close(ours, leaf.grad, atol=1e-4, rtol=1e-5)


def dora(bias: bool = True, **options) -> LoRALinear:
    """One whose lengths are not those it began with."""
    layer = make(bias, use_dora=True, **options)
    with torch.no_grad():
        layer.lora_magnitude_vector.mul_(torch.rand(7) + 0.5)
    return layer


@pytest.mark.parametrize("bias", [True, False])
def test_dora_is_the_one_of_peft_in_value_and_gradient(bias: bool) -> None:
    from peft import LoraConfig, get_peft_model

    ours, x = dora(bias), torch.randn(5, 12)
    plain = nn.Linear(12, 7, bias=bias)
    plain.load_state_dict({k: v for k, v in ours.state_dict().items() if "lora_" not in k})
    settings = LoraConfig(r=3, lora_alpha=6, target_modules=["0"], use_dora=True)
    theirs = get_peft_model(nn.Sequential(plain), settings).base_model.model[0]
    pairs = [
        (ours.lora_A.weight, theirs.lora_A["default"].weight),
        (ours.lora_B.weight, theirs.lora_B["default"].weight),
        (ours.lora_magnitude_vector, theirs.lora_magnitude_vector["default"].weight),
    ]
    with torch.no_grad():
        for our, their in pairs:
            their.copy_(our)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    outputs = [layer(leaf) for layer, leaf in zip((ours, theirs), inputs, strict=True)]
    torch.testing.assert_close(*outputs, atol=1e-5, rtol=1e-5)
    for output in outputs:
        output.sin().sum().backward()
    for our, their in [*pairs, inputs]:
        torch.testing.assert_close(our.grad, their.grad, atol=1e-4, rtol=1e-5)
    # The control: as plain LoRA it computes something else.
    assert (formula(ours, x) - outputs[0]).abs().max() > 0.1


def test_the_rows_of_a_dora_have_the_lengths_it_learned() -> None:
    layer = dora()
    weight = layer.adapted_weight()
    torch.testing.assert_close(weight.norm(dim=1), layer.lora_magnitude_vector.detach())
    torch.testing.assert_close(
        torch.cosine_similarity(weight, layer.weight + layer.delta_weight()), torch.ones(7)
    )


def test_dora_drops_as_peft_does_whatever_the_lengths_add() -> None:
    layer = dora(lora_dropout=0.5)
    x = torch.ones(4000, 12)
    noisy = layer(x)
    layer.eval()
    torch.testing.assert_close(noisy.mean(0), layer(x)[0], atol=0.3, rtol=0)
    assert noisy.std(0).min() > 0.1
    with torch.no_grad():
        # With the lengths it began with and no update, there is nothing that dropout falls on.
        layer.lora_B.weight.zero_()
        layer.lora_magnitude_vector.copy_(layer.weight.norm(dim=1))
    layer.train()
    expected = nn.functional.linear(x, layer.weight, layer.bias)
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=0)


def test_a_row_of_zeros_stays_one_in_a_dora() -> None:
    linear = nn.Linear(12, 7)
    linear.weight.data[3] = 0
    layer = LoRALinear(linear, LoRAConfig(r=2, use_dora=True))
    x = torch.randn(5, 12)
    torch.testing.assert_close(layer(x), linear(x), atol=1e-5, rtol=0)


def test_gradcheck_with_dropout() -> None:
    layer = make(lora_dropout=0.4).double()
    generator = torch.Generator()
    set_generator(layer, generator)

    def run(x: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        generator.manual_seed(2)
        return layer(x)

    x = torch.randn(4, 12, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(run, (x, *layer.parameters()), fast_mode=True)


def test_dropout_falls_on_the_input_of_the_update_alone() -> None:
    layer = make(lora_dropout=0.5)
    x = torch.ones(4000, 12)
    difference = layer(x) - nn.functional.linear(x, layer.weight, layer.bias)
    mean = difference.mean(0)
    torch.testing.assert_close(
        mean, formula(layer, x)[0] - (layer.weight.sum(1) + layer.bias), atol=0.3, rtol=0
    )
    assert difference.std(0).min() > 0.1
    layer.eval()
    torch.testing.assert_close(layer(x), formula(layer, x), atol=1e-5, rtol=0)


@pytest.mark.parametrize("build", [make, dora])
def test_merging_keeps_the_output_and_unmerging_gives_every_bit_back(build) -> None:
    layer = build().eval()
    x = torch.randn(5, 12)
    plain, original = layer(x), layer.weight.clone()
    layer.merge()
    assert layer.merged
    torch.testing.assert_close(layer(x), plain, atol=1e-5, rtol=0)
    if build is make:
        torch.testing.assert_close(layer.weight, original + layer.delta_weight())
    torch.testing.assert_close(layer.weight, layer.adapted_weight())
    merged = layer.weight.clone()
    layer.merge()  # twice is once
    assert torch.equal(layer.weight, merged)
    layer.unmerge()
    assert torch.equal(layer.weight, original)
    assert torch.equal(layer(x), plain)
    # The control: subtracting instead is not exact.
    assert not torch.equal(merged - layer.delta_weight(), original)


def test_adopts_parameters_and_their_names() -> None:
    linear = nn.Linear(12, 7)
    layer = LoRALinear(linear, LoRAConfig(r=2))
    assert layer.weight is linear.weight
    assert layer.bias is linear.bias
    assert set(layer.state_dict()) == {"weight", "bias", "lora_A.weight", "lora_B.weight"}


@pytest.mark.parametrize(("rs", "scaling"), [(False, 16 / 4), (True, 16 / math.sqrt(4))])
def test_scaling(rs: bool, scaling: float) -> None:
    assert LoRAConfig(r=4, lora_alpha=16, use_rslora=rs).scaling == scaling


def test_frozen_bf16_weight_with_fp32_update() -> None:
    layer = make()
    layer.weight.requires_grad_(False)
    layer.weight.data = layer.weight.data.bfloat16()
    x = torch.randn(5, 12)
    low = layer(x.bfloat16())
    assert low.dtype == torch.bfloat16
    low.float().sum().backward()
    assert layer.lora_A.weight.grad.dtype == torch.float32
    assert layer.weight.grad is None
    torch.testing.assert_close(low.float(), formula(make(), x), atol=0.3, rtol=0.05)
