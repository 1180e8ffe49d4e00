import json

import pytest
from pipelines.bundles import saved, translator
from reports.inert_page import Outline, problems

from lowkey.experiments.baseline import Baseline
from lowkey.experiments.demo_page import BASELINE, NAMES, demo_report
from lowkey.metrics.intervals import Score
from lowkey.pipelines.bundle import Facts
from lowkey.reports.page import write_report
from lowkey.reports.report import Column, Headlines, Picture, Table

ACCURACY = {"lora": 0.9, "full": 0.875, "head": 0.75}
HOSTILE = '<script>alert("1")</script>'


def metric(value):
    return {"value": value, "low": value - 0.125, "high": value + 0.0625, "n": 592}


def log(run, **values):
    lines = [{"step": step} | {k: v / step for k, v in values.items()} for step in (1, 2, 3)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def runs(tmp_path):
    """Run folders with all that the page reads, made up."""
    samples = [
        {"source": f"s{i}", "target": "u", "prediction": HOSTILE, "correct": i % 2 == 0}
        for i in range(20)
    ]
    spoken = translator(decode={"max_length": 6})
    spoken.facts = spoken.facts.model_copy(
        update={
            "metrics": {"word_error_rate": metric(0.25), "token_error_rate": metric(0.125)},
            "counts": {"parameters": 1_234_567, "training_seconds": 61.0, "test_rows": 11_172},
            "samples": samples,
            "environment": {"torch": "2.13", "threads": 2},
        }
    )
    pronounce = tmp_path / "pronounce"
    pronounce.mkdir()
    saved(spoken, pronounce / "best")
    (pronounce / "config.yaml").touch()
    log(pronounce, **{"train/nll": 3.0, "eval/nll": 2.0, "eval/word_error_rate": 1.0})
    encoders = {}
    for i, (method, accuracy) in enumerate(ACCURACY.items()):
        best = tmp_path / method / "best"
        best.mkdir(parents=True)
        log(tmp_path / method, **{"train/loss": 0.5, "eval/accuracy": accuracy})
        counts = {
            "trainable_parameters": 1000 + i,
            "trainable_parameters_without_head": 10 + i,
            "training_seconds": 20.0 + i,
            "peak_memory_mib": 500.0 + i,
            "disk_bytes": 4096 + i,
            "train_rows": 2082,
            "test_rows": 592,
        }
        facts = {"task": "classify", "method": method, "labels": ["a", "b"], "counts": counts}
        metrics = {"accuracy": metric(accuracy)}
        Facts(kind="classification", metrics=metrics, **facts).write(best)
        encoders[method] = tmp_path / method
    return pronounce, encoders


def report_of(runs):
    scores = {"accuracy": Score(0.8125, 0.75, 0.875, 592)}
    return demo_report(*runs, Baseline(scores, 9999, 0.5, 123_456), 111.0)


def blocks(section, kind):
    return [block for block in section.blocks if isinstance(block, kind)]


def test_every_method_has_its_own_numbers_in_the_table(runs):
    section = report_of(runs).sections[1]
    (table,) = blocks(section, Table)
    methods = [row[0] for row in table.rows]
    assert methods == [*NAMES.values(), BASELINE]
    assert [row[1].value for row in table.rows] == [*ACCURACY.values(), 0.8125]
    assert table.rows[0][1].low == 0.9 - 0.125
    assert [row[2:] for row in table.rows] == [
        *([1000 + i, 10 + i, 20.0 + i, 500.0 + i, 4096 + i] for i in range(3)),
        [9999, None, 0.5, 111.0, 123_456],
    ]
    assert all(isinstance(column, Column) for column in table.columns)
    assert len(table.columns) == 7
    assert "2,082 sentences" in section.lead
    assert len(blocks(section, Picture)) == 2


def test_the_words_stand_beside_the_truth(runs):
    section = report_of(runs).sections[0]
    (headlines,) = blocks(section, Headlines)
    assert [h.value.value for h in headlines.items[:2]] == [0.25, 0.125]
    (table,) = blocks(section, Table)
    assert len(table.rows) == 20
    assert table.rows[3] == ["s3", "u", HOSTILE, False]
    assert "11,172 held-out words" in section.lead
    assert len(blocks(section, Picture)) == 2


def test_the_page_stands_alone_and_runs_nothing(runs, tmp_path):
    path = tmp_path / "report.html"
    write_report(report_of(runs), path)
    page = path.read_text()
    assert problems(page) == []
    assert HOSTILE not in page
    for words in [*NAMES.values(), BASELINE, "What to type next", "lowkey init classify"]:
        assert words in page
    assert page.count("data:image/png;base64,") == 1
    assert page.count("data:image/svg+xml;base64,") == 3
    assert Outline(page)


def test_an_undefined_score_is_no_number(runs):
    best = runs[1]["head"] / "best"
    facts = Facts.read(best)
    none = {"value": None, "low": None, "high": None, "n": 3}
    facts.model_copy(update={"metrics": {"accuracy": none}}).write(best)
    (table,) = blocks(report_of(runs).sections[1], Table)
    score = table.rows[2][1]
    assert score.value != score.value
    assert score.n == 3
