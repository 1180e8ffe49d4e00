"""Where two lists slip out of step, on texts whose slips are known."""

import random

import pytest

from lowkey.data.slips import first_slip


def translations(count, seed):
    """Texts and others about a third longer, as a translation is, with much noise."""
    chance = random.Random(seed)
    lengths = [int(chance.lognormvariate(4, 0.6)) for _ in range(count)]
    sources = ["x" * length for length in lengths]
    return sources, ["y" * int(1.3 * n * chance.lognormvariate(0, 0.2)) for n in lengths]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("missing", [1, 3, 16, 40])
@pytest.mark.parametrize("swap", [False, True])
def test_a_block_of_missing_lines_is_found(seed, missing, swap):
    sources, targets = translations(2000, seed)
    at = random.Random(seed).randrange(100, 1800)
    del targets[at : at + missing]
    found = first_slip(targets, sources) if swap else first_slip(sources, targets)
    assert abs(found - (at + 1)) <= 3


@pytest.mark.parametrize("seed", range(5))
def test_the_first_of_several_slips_is_found(seed):
    sources, targets = translations(2000, seed)
    for at in (1700, 1100, 400):
        del targets[at]
    assert abs(first_slip(sources, targets) - 401) <= 3


def test_a_surplus_at_the_end_is_no_slip():
    sources, targets = translations(500, seed=1)
    assert first_slip(sources, targets[:-7]) == 494


def test_without_any_difference_in_length_no_early_line_is_blamed():
    assert first_slip(["a"] * 10, ["b"] * 8) == 9
    assert first_slip(["a"], ["b", "c", "d"]) == 2
