"""Full trainings as benchmarks: taken up, not repeated, and told on pages as the file has it."""

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny_tasks
from experiments.tasks import stop_at

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import pages, training_job
from lowkey.errors import StoppedError
from lowkey.experiments import translation

RECIPE = Path("translate.yaml")
SETTINGS = ("train.threads=1", "train.max_steps=4", "train.eval_steps=2", "train.save_steps=2")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tiny_tasks.write_tasks(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_job_is_taken_up_where_it_stopped_and_not_trained_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, translation, 3)
        with pytest.raises(StoppedError):
            training_job.run_job("tiny", RECIPE, SETTINGS)
    report, run = training_job.run_job("tiny", RECIPE, SETTINGS)
    assert report["counts"]["steps"] == 4
    assert [point["step"] for point in report["curve"]] == [2, 4]
    assert report["recipe"]["train"]["max_steps"] == 4
    facts = json.loads((run.best / "lowkey.json").read_text(encoding="utf-8"))
    assert report["metrics"] == facts["metrics"] != {}
    monkeypatch.setattr(training_job, "train", lambda *_, **__: pytest.fail("trained again"))
    again, _ = training_job.run_job("tiny", RECIPE, SETTINGS)
    assert {**again, "date": 0, "machine": 0} == {**report, "date": 0, "machine": 0}


@pytest.fixture
def report(folder: Path) -> dict[str, Any]:
    made, _ = training_job.run_job("tiny", RECIPE, SETTINGS)
    return {**made, "counts": {**made["counts"], "test_rows": 7}}


def test_the_page_of_a_job_says_what_the_file_says(report: dict[str, Any]) -> None:
    report["scored"] = dict.fromkeys(("split", "stress", "alternatives", "training_targets"), "x")
    report["metrics"]["word_error_rate"] |= {"value": 0.2345, "low": 0.2, "high": 0.25}
    report["samples"] = [
        {"source": "a | b", "prediction": "c", "target": "c", "correct": True},
        {"source": "d", "prediction": "e", "target": "f", "correct": False},
    ]
    page = pages.pronounce(report)
    assert "| words wrong | 23.45 % | 20.00 % to 25.00 % |" in page
    assert "| a \\| b | c | c | right |" in page
    assert "| d | e | f |  |" in page
    assert "words wrong at most 24 % (reached)" in page
    other = copy.deepcopy(report)
    other["metrics"]["word_error_rate"]["value"] = 0.5
    assert "words wrong at most 24 % (missed)" in pages.pronounce(other)
    assert "<svg" in pages.picture(report)


def test_pages_are_written_from_the_result_files() -> None:
    for file, text in pages.pages().items():
        found = (pages.PAGES / file).read_text(encoding="utf-8")
        assert found == text, "run python -m benchmarks.pages"
