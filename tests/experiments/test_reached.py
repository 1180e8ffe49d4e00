import json
import math

import pytest

from lowkey.experiments.reached import plain, value_of
from lowkey.pipelines.bundle import Facts


def test_what_is_undefined_is_null():
    found = plain({"a": [math.nan, 1.0, {"b": math.nan}], "c": "nan", "d": None, "e": 2})
    assert found == {"a": [None, 1.0, {"b": None}], "c": "nan", "d": None, "e": 2}
    json.dumps(found, allow_nan=False)


def test_a_score_is_read_and_an_undefined_one_is_nan():
    metrics = {"pearson": {"value": None}, "mse": {"value": 2}}
    facts = Facts(kind="regression", task="regress", method="lora", metrics=metrics)
    assert math.isnan(value_of(facts, "pearson"))
    assert value_of(facts, "mse") == 2.0
    with pytest.raises(KeyError):
        value_of(facts, "accuracy")
