import json
from pathlib import Path

import pytest
from reports.inert_page import PAYLOADS, problems

from lowkey.metrics.intervals import Score
from lowkey.reports.page import render_report
from lowkey.reports.report import Headlines, KeyValues, Picture, Table, Text
from lowkey.reports.run_report import run_report
from lowkey.run_folder import RunFolder


def fill(path: Path, word: str = "word") -> RunFolder:
    """Writes every file of a run, with the word wherever text is allowed."""
    run = RunFolder(path)
    run.best.mkdir(parents=True)
    facts = {
        "kind": "translation",
        "task": word,
        "method": "full",
        "base_model": word,
        "labels": [word],
        "metrics": {
            "word_error_rate": {"value": 0.281, "low": 0.27, "high": 0.29, "n": 3000},
            "bleu": {"value": 31.2, "low": 30.1, "high": 32.4, "n": 9, "signature": f"tok:{word}"},
            word: 0.5,
        },
        "counts": {"parameters": 1912345, "seconds": 241.2, word: 7},
        "samples": [
            {"source": word, "target": word, "prediction": word, "correct": True},
            {"source": "a b", "target": "A B", "prediction": "A", "correct": False},
        ],
        "environment": {"torch": "2.13", word: word},
    }
    (run.best / "lowkey.json").write_text(json.dumps(facts))
    recipe = "model:\n  d_model: 64\ntrain: {seed: 0, tie: true}\nlist: [1, 2]\nname: "
    run.config_file.write_text(recipe + json.dumps(word))
    rows = [{"step": step, "train/loss": 3.0 / step, f"train/{word}": 1} for step in (1, 2, 3)]
    rows += [{"step": 3, "eval/loss": 1.2}]
    run.metrics_file.write_text("\n".join(map(json.dumps, rows)))
    speed = [{"step": s, "time/tokens_per_second": v} for s, v in ((1, 10), (2, 3000), (3, 4000))]
    run.timings_file.write_text("\n".join(map(json.dumps, speed)))
    return run


def test_a_whole_run_is_reported(tmp_path: Path) -> None:
    report = run_report(fill(tmp_path / "pronounce"))
    sections = {section.title: section.blocks for section in report.sections}
    assert report.title == "pronounce"
    assert list(sections) == ["Scores", "Examples", "Learning curves", "Cost", "Recipe", "Machine"]
    headlines, signatures, about = sections["Scores"]
    assert isinstance(headlines, Headlines)
    assert headlines.items[0].title == "Word error rate"
    assert headlines.items[0].remark == "lower is better"
    assert headlines.items[1].value == Score(31.2, 30.1, 32.4, 9, "tok:word")
    assert isinstance(signatures, KeyValues)
    assert signatures.items == [("BLEU", "tok:word")]
    assert isinstance(about, KeyValues)
    [examples] = sections["Examples"]
    assert isinstance(examples, Table)
    assert examples.caption == "1 of these 2 are right."
    [curves] = sections["Learning curves"]
    assert isinstance(curves, Picture)
    assert curves.alt.startswith("Curves over the steps: Loss")
    [cost] = sections["Cost"]
    assert isinstance(cost, KeyValues)
    assert dict(cost.items) == {
        "Parameters": "1,912,345",
        "Seconds": "4\u00a0min 01\u00a0s",
        "Word": "7",
        "Tokens per second, median": "3000",
    }
    [recipe] = sections["Recipe"]
    assert isinstance(recipe, KeyValues)
    assert dict(recipe.items) == {
        "model.d_model": "64",
        "train.seed": "0",
        "train.tie": "true",
        "list": "1, 2",
        "name": "word",
    }
    assert problems(render_report(report)) == []


def test_calibration_and_notes_are_shown(tmp_path: Path) -> None:
    run = fill(tmp_path)
    file = run.best / "lowkey.json"
    found = {"temperature": 1.7, "error_before": 0.2, "error_after": 0.05, "rows": 1234}
    facts = json.loads(file.read_text()) | {
        "labels": ["insult", "threat"],
        "pooling": "max",
        "notes": ["the model has collapsed"],
        "calibration": found | {"thresholds": [0.25, 0.625]},
    }
    file.write_text(json.dumps(facts))
    page = render_report(run_report(run))
    for words in ("collapsed", "1,234 validation rows", "1.7", "insult", "0.625", "Pooling", "max"):
        assert words in page
    plain = render_report(run_report(fill(tmp_path / "plain")))
    assert "validation rows" not in plain
    assert "Pooling" not in plain


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_runs_stay_text(tmp_path: Path, payload: str) -> None:
    word = payload.replace("\ud800", "")  # JSON files with half a pair are refused at the door
    folder = "run " + word.replace("/", "").replace("\0", "")
    report = run_report(fill(tmp_path / folder, word))
    assert len(report.sections) == 6, report.sections[-1]
    assert problems(render_report(report)) == []


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    report = run_report(RunFolder(tmp_path))
    [notes] = report.sections
    assert notes.blocks == [Text("This folder holds no numbers yet.", note=True)]


@pytest.mark.parametrize(
    "missing", ["best/lowkey.json", "config.yaml", "metrics.jsonl", "timings.jsonl"]
)
def test_each_file_may_be_missing(tmp_path: Path, missing: str) -> None:
    run = fill(tmp_path)
    (tmp_path / missing).unlink()
    report = run_report(run)
    assert "Notes" not in [section.title for section in report.sections]
    assert problems(render_report(report)) == []


@pytest.mark.parametrize(
    ("broken", "content"),
    [
        ("best/lowkey.json", b'{"kind": "x", "kind": "y"}'),
        ("config.yaml", b"a: &x [*x]"),
        ("metrics.jsonl", b"\xff\xfe\x00"),
        ("timings.jsonl", b"\xe9\n"),
    ],
)
def test_each_file_may_be_broken_at_the_cost_of_a_note(
    tmp_path: Path, broken: str, content: bytes
) -> None:
    run = fill(tmp_path)
    (tmp_path / broken).write_bytes(content)
    notes = run_report(run).sections[-1]
    assert notes.title == "Notes"
    [note] = notes.blocks
    assert isinstance(note, Text)
    assert note.text.startswith("Left out: ")
    assert Path(broken).name in note.text
