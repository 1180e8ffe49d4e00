"""Sinusoidal positions against their closed form and their defining property."""

import math

import pytest
import torch

from lowkey.nn.positions import SinusoidalPositions, sinusoidal_table


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
    assert not positions.state_dict()


def test_odd_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="even"):
        sinusoidal_table(3, 5)
