"""Sinusoidal positions against their closed form and their defining property."""

import math

import pytest
import torch

from lowkey.nn.positions import (
    RelativeBias,
    RotaryPositions,
    SinusoidalPositions,
    relative_buckets,
    sinusoidal_table,
)


@pytest.mark.parametrize(("position", "feature"), [(0, 0), (1, 0), (7, 3), (500, 6), (4999, 9)])
def test_closed_form(position: int, feature: int) -> None:
    d_model = 10
    angle = position / 10_000 ** ((feature - feature % 2) / d_model)
    expected = math.cos(angle) if feature % 2 else math.sin(angle)
    assert sinusoidal_table(5000, d_model)[position, feature].item() == pytest.approx(
        expected, abs=1e-6
    )


def test_a_shift_is_a_rotation_that_depends_on_the_shift_alone() -> None:
    d_model, shift = 8, 13
    table = sinusoidal_table(200, d_model).double()
    for pair in range(d_model // 2):
        angle = shift / 10_000 ** (2 * pair / d_model)
        rotation = torch.tensor(
            [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]],
            dtype=torch.float64,
        )
        here = table[:-shift, 2 * pair : 2 * pair + 2]
        there = table[shift:, 2 * pair : 2 * pair + 2]
        torch.testing.assert_close(here @ rotation.T, there, atol=1e-5, rtol=0)


def test_the_table_grows_and_does_not_travel_in_a_checkpoint() -> None:
    positions = SinusoidalPositions(6)
    far = torch.tensor([3, 900])
    torch.testing.assert_close(positions(far), sinusoidal_table(901, 6)[far])
    torch.testing.assert_close(SinusoidalPositions(6)(far, 901), positions(far))
    assert not positions.state_dict()


@pytest.mark.parametrize(("position", "feature"), [(0, 0), (0, 5), (7, 2), (7, 8), (4999, 4)])
def test_halves_put_the_sines_first(position: int, feature: int) -> None:
    d_model = 10
    angle = position / 10_000 ** (2 * (feature % 5) / d_model)
    expected = math.sin(angle) if feature < 5 else math.cos(angle)
    found = sinusoidal_table(5000, d_model, "halves")[position, feature].item()
    assert found == pytest.approx(expected, abs=1e-6)


def test_halves_are_the_same_features_in_another_order_beyond_the_first_table_too() -> None:
    ids = torch.tensor([2, 700])
    halves, turns = SinusoidalPositions(6, "halves")(ids), SinusoidalPositions(6)(ids)
    assert torch.equal(halves, turns[:, [0, 2, 4, 1, 3, 5]])
    assert not torch.equal(halves, turns)


def turned_by_hand(x: torch.Tensor, positions: list[int], d_head: int) -> torch.Tensor:
    """Each pair of features as a complex number, times exp(i * angle)."""
    pairs = torch.view_as_complex(x.double().view(len(x), -1, d_head // 2, 2))
    frequencies = torch.tensor([10_000 ** (-2 * i / d_head) for i in range(d_head // 2)])
    angles = torch.tensor(positions).double()[:, None] * frequencies.double()
    turned = pairs * torch.exp(1j * angles).unsqueeze(1)
    return torch.view_as_real(turned).reshape(x.shape)


def test_rotary_positions_multiply_by_a_complex_number() -> None:
    torch.manual_seed(0)
    rotary, x, positions = RotaryPositions(6), torch.randn(5, 12), [0, 1, 5, 63, 900]
    expected = turned_by_hand(x, positions, 6)
    found = rotary(x, torch.tensor(positions), 901)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.norm(dim=1), x.norm(dim=1))
    assert torch.equal(found[0], x[0])
    # The control: the pairs are of neighbours, not of the two halves of a head.
    halves = x.view(5, 2, 2, 3).transpose(-1, -2).reshape(5, 12)
    assert (rotary(halves, torch.tensor(positions), 901) - expected).abs().max() > 0.1


def test_after_rotary_positions_a_product_depends_on_the_distance_alone() -> None:
    torch.manual_seed(0)
    rotary = RotaryPositions(8)
    q, k = (torch.randn(1, 8).expand(200, 8) for _ in range(2))
    everywhere = torch.arange(200)
    products = rotary(q, everywhere, 200) @ rotary(k, everywhere, 200).T
    for apart in (-60, -1, 0, 3, 150):
        along = products.diagonal(apart)
        torch.testing.assert_close(along, along[:1].expand_as(along), atol=1e-4, rtol=0)
    # The control: the distance counts, and its sign does.
    assert abs(products[0, 3] - products[0, 4]) > 1e-2
    assert abs(products[0, 3] - products[3, 0]) > 1e-2


def test_rotary_positions_round_bf16_once_and_float64_not_at_all() -> None:
    torch.manual_seed(0)
    rotary, positions = RotaryPositions(4), torch.tensor([400, 401])
    x = torch.randn(2, 4).bfloat16()
    expected = turned_by_hand(x, [400, 401], 4)
    assert torch.equal(rotary(x, positions, 402), expected.float().bfloat16())
    double = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    assert rotary(double, positions, 402).dtype == torch.float64
    assert torch.autograd.gradcheck(lambda y: rotary(y, positions, 402), (double,))


def test_tables_are_whole_after_a_model_was_laid_out_on_the_meta_device() -> None:
    with torch.device("meta"):
        rotary, sinusoidal = RotaryPositions(4), SinusoidalPositions(4)
    positions, x = torch.tensor([1, 2]), torch.randn(2, 4)
    torch.testing.assert_close(rotary(x, positions, 3), RotaryPositions(4)(x, positions, 3))
    torch.testing.assert_close(sinusoidal(positions), sinusoidal_table(3, 4)[1:])
    assert not rotary.state_dict()


def test_odd_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="even"):
        sinusoidal_table(3, 5)
    with pytest.raises(ValueError, match="even number of features a head: 3"):
        RotaryPositions(3)


@pytest.mark.parametrize("base", [10_000.0, 160_000.0])
def test_rotary_positions_in_halves_are_those_of_modernbert(base: float) -> None:
    from transformers.models.modernbert.modeling_modernbert import apply_rotary_pos_emb

    torch.manual_seed(0)
    positions, x = torch.tensor([0, 1, 7, 100]), torch.randn(4, 12)
    angles = positions[:, None] * base ** (-torch.arange(0, 6, 2) / 6)
    angles = torch.cat([angles, angles], 1)
    heads = x.view(1, 4, 2, 6).transpose(1, 2)
    expected, _ = apply_rotary_pos_emb(heads, heads, angles.cos()[None], angles.sin()[None])
    found = RotaryPositions(6, base, "halves")(x, positions, 101)
    torch.testing.assert_close(found, expected.transpose(1, 2).reshape(4, 12), atol=1e-5, rtol=0)
    neighbours = RotaryPositions(6, base)(x, positions, 101)
    assert (neighbours - found).abs().max() > 0.1


def test_buckets_of_distances_are_those_of_mpnet() -> None:
    from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

    distances = torch.arange(-700, 701)
    expected = MPNetEncoder.relative_position_bucket(distances)
    assert torch.equal(relative_buckets(distances, 32), expected)
    assert expected.unique().tolist() == [i for i in range(32) if i != 16]  # 16: behind, by 0


def test_a_relative_bias_has_one_column_for_each_distance() -> None:
    bias = RelativeBias(8, 2)
    columns = bias(4)
    for column, distance in enumerate(range(-3, 4)):
        bucket = relative_buckets(torch.tensor([distance]), 8).item()
        assert torch.equal(columns[:, column], bias.table.weight[bucket])
    assert torch.equal(bias(3), columns[:, 1:-1])
