import math

import pytest

from lowkey.errors import ConfigError
from lowkey.training.schedule import Schedule, noam


def factors(kind, warmup, total):
    return [Schedule(kind, warmup, total).factor(step) for step in range(1, total + 1)]


def test_noam_is_equation_3_of_the_paper():
    d_model, warmup = 512, 4000
    peak = (d_model * warmup) ** -0.5
    schedule = Schedule("noam", warmup, 100_000)
    for step in (1, 77, 3999, 4000, 4001, 100_000):
        paper = d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)
        assert math.isclose(schedule.factor(step) * peak, paper, rel_tol=1e-12)
    assert noam(1.0) == 1 == schedule.factor(warmup)


def test_other_names_for_the_same_schedules():
    assert factors("inverse_sqrt", 8, 40) == factors("noam", 8, 40)
    assert factors("constant_with_warmup", 8, 40) == factors("constant", 8, 40)


@pytest.mark.parametrize("kind", ["linear", "cosine", "constant", "noam"])
@pytest.mark.parametrize(("warmup", "peak"), [(0, 1), (1, 1), (8, 8), (0.2, 8), (40, 40)])
def test_peaks_exactly_at_the_end_of_warm_up(kind, warmup, peak):
    values = factors(kind, warmup, 40)
    assert values[peak - 1] == max(values) == 1
    assert values[: peak - 1] == [pytest.approx(step / peak) for step in range(1, peak)]
    assert min(values) > 0


def test_linear_by_hand():
    assert factors("linear", 2, 6) == pytest.approx([1 / 2, 1, 4 / 5, 3 / 5, 2 / 5, 1 / 5])


def test_cosine_by_hand():
    expected = [1 / 2, 1] + [(1 + math.cos(math.pi * k / 4)) / 2 for k in (1, 2, 3)]
    assert factors("cosine", 2, 5) == pytest.approx(expected)


def test_constant_stays():
    assert factors("constant", 2, 5) == [0.5, 1, 1, 1, 1]


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_the_rate_is_zero_when_the_time_is_up(kind):
    schedule = Schedule(kind, 10, 1_000_000)
    assert schedule.factor(500) > 0.99
    assert schedule.factor(500, elapsed=0.5) == pytest.approx(0.5, abs=1e-3)
    assert schedule.factor(500, elapsed=1.0) < 2e-6


def test_warm_up_as_a_share_follows_the_clock_and_in_steps_does_not():
    assert Schedule("linear", 0.1, 1_000_000).factor(5, elapsed=0.05) == pytest.approx(0.5)
    assert Schedule("linear", 10, 1_000_000).factor(5, elapsed=0.0) == pytest.approx(0.5)


def test_warm_up_longer_than_the_run():
    with pytest.raises(ConfigError) as caught:
        Schedule("noam", 4000, 900)
    assert str(caught.value) == (
        "train.warmup_steps 4000 is more than the whole run (900 steps) — "
        "use at most 900; 90 is usual here"
    )
