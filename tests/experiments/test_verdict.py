import copy

import pytest

from lowkey.experiments.verdict import verdicts

COSTS = {
    "trainable_parameters": 1000.0,
    "training_seconds": 100.0,
    "peak_memory_mib": 800.0,
    "disk_bytes": 5000.0,
}
CHEAP = {
    "trainable_parameters": 30.0,
    "training_seconds": 71.0,
    "peak_memory_mib": 304.0,
    "disk_bytes": 20.0,
}


def result(metric, value, seeds, rows):
    return {
        "metric": metric,
        "against": "full",
        "contenders": {"lora": {"costs": CHEAP}, "full": {"costs": COSTS}},
        "differences": {
            "lora": {
                metric: {
                    "over_seeds": {"value": value, "low": seeds[0], "high": seeds[1], "n": 5},
                    "over_rows": {"value": value, "low": rows[0], "high": rows[1], "n": 1600},
                }
            }
        },
    }


def test_a_difference_whose_interval_holds_0_is_none():
    [said] = verdicts(result("accuracy", -0.003, (-0.011, 0.005), (-0.012, 0.006)))
    assert said == (
        "lora is not distinguishable from full by accuracy (difference -0.30 points; 95 % interval"
        " over 5 seeds -1.10 to +0.50, over 1,600 test rows -1.20 to +0.60). It trained 3 % of the"
        " parameters in 0.71 of the time, with 0.38 of the memory, and takes 0.4 % of the disk."
    )


@pytest.mark.parametrize(
    ("metric", "value", "word"),
    [
        ("accuracy", 0.02, "better than full"),
        ("accuracy", -0.02, "worse than full"),
        ("mse", 0.02, "worse than full"),
        ("mse", -0.02, "better than full"),
    ],
)
def test_both_intervals_must_leave_out_0(metric, value, word):
    away = (value - 0.01, value + 0.01)
    assert word in verdicts(result(metric, value, away, away))[0]
    for some in ((away, (-0.05, 0.05)), ((-0.05, 0.05), away)):
        assert "not distinguishable" in verdicts(result(metric, value, *some))[0]


def test_a_metric_without_points_keeps_its_unit():
    said = verdicts(result("mse", 0.25, (0.1, 0.4), (0.2, 0.3)))[0]
    assert "(difference +0.25; 95 % interval over 5 seeds +0.10 to +0.40," in said


def test_one_seed_leaves_the_rows_to_decide():
    said = verdicts(result("accuracy", 0.02, (None, None), (0.01, 0.03)))[0]
    assert "lora is better than full" in said
    assert "seeds" not in said


def test_an_undefined_metric_is_said_to_be():
    found = copy.deepcopy(result("pearson", None, (None, None), (None, None)))
    assert verdicts(found) == ["lora cannot be compared with full: pearson is undefined."]
