import json
from pathlib import Path

import pytest

from lowkey.errors import DataError
from lowkey.reports.curves import Curve, Panel, panels, read_curves


def test_numbers_become_curves_and_everything_else_is_passed_over(tmp_path: Path) -> None:
    lines = [
        '{"step": 10, "train/loss": 2.5, "note": "text", "flag": true}',
        '{"step": 20, "train/loss": 1.5, "eval/accuracy": 0.5}',
        '{"step": 20, "eval/accuracy": NaN}',
        '{"step": "20", "train/loss": 9}',
        '{"train/loss": 9}',
        '{"step": 1e999, "train/loss": 9}',
        "[1, 2]",
        "[" * 100_000,
        "",
        '{"step": 30, "train/lo',
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    assert read_curves(tmp_path / "metrics.jsonl") == [
        Curve("train/loss", (10.0, 20.0), (2.5, 1.5)),
        Curve("eval/accuracy", (20.0,), (0.5,)),
    ]


def test_a_file_that_is_missing_or_empty_holds_no_curves(tmp_path: Path) -> None:
    assert read_curves(tmp_path / "metrics.jsonl") == []
    (tmp_path / "metrics.jsonl").touch()
    assert read_curves(tmp_path / "metrics.jsonl") == []


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_bytes(json.dumps({"step": 1}).encode("utf-16"))
    with pytest.raises(DataError, match="not UTF-8"):
        read_curves(tmp_path / "metrics.jsonl")


def curve(name: str) -> Curve:
    return Curve(name, (1.0,), (2.0,))


def test_one_run_shows_its_splits_together_and_evaluations_first() -> None:
    drawn = panels(
        {"run": [curve(n) for n in ("train/lr", "train/loss", "eval/loss", "eval/bleu")]}
    )
    assert drawn == [
        Panel("Loss", [curve("train"), curve("eval")], "number"),
        Panel("BLEU, eval", [curve("")], "number"),
        Panel("Learning rate, train", [curve("")], "number"),
    ]


def test_several_runs_are_compared_measure_by_measure() -> None:
    own = [curve("train/loss"), curve("eval/accuracy")]
    assert panels({"LoRA": own, "full": own}) == [
        Panel("Accuracy, eval", [curve("LoRA"), curve("full")], "share"),
        Panel("Loss, train", [curve("LoRA"), curve("full")], "number"),
    ]
