import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowkey.errors import DataError
from lowkey.metrics.intervals import Score
from lowkey.reports.facts import (
    Facts,
    Sample,
    facts_from,
    lower_is_better,
    metric_title,
    metric_unit,
    read_facts,
)

NUMBERS = st.integers(-(10**99), 10**99) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=8)
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)
KEYS = ["kind", "task", "method", "labels", "metrics", "counts", "samples", "environment"]
KEYS += ["pooling", "notes", "calibration"]


def test_all_facts_are_read() -> None:
    facts = facts_from(
        {
            "kind": "classification",
            "method": "lora",
            "labels": ["no", "yes"],
            "metrics": {"accuracy": {"value": 0.9, "low": 0.8, "high": 0.95, "n": 100}},
            "counts": {"trainable_parameters": 74498},
            "samples": [{"source": "a", "target": "yes", "prediction": "no", "correct": False}],
            "environment": {"torch": "2.13", "threads": 2},
        }
    )
    assert facts.metrics == {"accuracy": Score(0.9, 0.8, 0.95, 100)}
    assert facts.counts == {"trainable_parameters": 74498}
    assert facts.samples == [Sample("a", "yes", "no", False)]
    assert (facts.labels, facts.environment) == (["no", "yes"], {"torch": "2.13", "threads": "2"})


def test_what_is_malformed_is_left_out() -> None:
    facts = facts_from(
        {
            "kind": ["x"],
            "metrics": {"a": {"value": "0.9"}, "b": 0.5, "c": None, "d": {"value": True}},
            "counts": {"a": "many", "b": 3},
            "samples": ["text", {"correct": "yes"}],
            "environment": {"a": {"b": 1}},
            "labels": "no",
        }
    )
    assert (facts.kind, facts.labels, facts.environment, facts.counts) == ("", [], {}, {"b": 3})
    assert list(facts.metrics) == ["b"]
    assert math.isnan(facts.metrics["b"].low)
    assert facts.samples == [Sample("", "", "", None)] * 2


@settings(max_examples=100, deadline=None)
@given(ANY_JSON | st.fixed_dictionaries({}, optional={key: ANY_JSON for key in KEYS}))
def test_no_document_is_too_strange(document: object) -> None:
    assert isinstance(facts_from(document), Facts)


def test_a_missing_file_tells_nothing_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    assert read_facts(tmp_path / "lowkey.json") == Facts()
    (tmp_path / "lowkey.json").write_text(json.dumps({"kind": "translation"}))
    assert read_facts(tmp_path / "lowkey.json").kind == "translation"
    (tmp_path / "lowkey.json").write_text('{"kind": ')
    with pytest.raises(DataError):
        read_facts(tmp_path / "lowkey.json")


@pytest.mark.parametrize(
    ("name", "title", "unit", "lower"),
    [
        ("word_error_rate", "Word error rate", "share", True),
        ("accuracy", "Accuracy", "share", False),
        ("f1_macro", "F1, macro", "share", False),
        ("learning_rate", "Learning rate", "number", False),
        ("bleu", "BLEU", "number", False),
        ("ter", "TER", "number", True),
        ("exact_match", "Exact match", "share", False),
        ("loss", "Loss", "number", True),
        ("tokens_per_second", "Tokens per second", "number", False),
        ("training_seconds", "Training time", "seconds", True),
        ("peak_memory_mib", "Peak memory", "mebibytes", True),
        ("bundle_bytes", "Bundle bytes", "bytes", True),
        ("", "", "number", False),
    ],
)
def test_names_say_how_numbers_are_written(name: str, title: str, unit: str, lower: bool) -> None:
    assert (metric_title(name), metric_unit(name), lower_is_better(name)) == (title, unit, lower)
