"""Comparisons of tiny models; the trainings run in this process, one of them in its own."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_tasks
from scipy.stats import ttest_rel
from sklearn.metrics import accuracy_score

from lowkey.config import load_recipe
from lowkey.config.recipe import given_values
from lowkey.errors import ConfigError
from lowkey.experiments import child_runs
from lowkey.experiments.compare_config import CompareRecipe
from lowkey.experiments.comparison import Comparison
from lowkey.experiments.finetune import finetune
from lowkey.pipelines.bundle import Facts

OUT = Path("out")
TWO = "compare.contenders={lora: {method: lora, lora.r: 2}, full: {method: full}}"
USUAL = ["data.test=data/test.jsonl", "train.threads=1", TWO, "compare.seeds=[1, 2, 3]"]


class Finished:
    """A process that has ended."""

    returncode = 0

    def poll(self):
        return 0


@pytest.fixture
def begun(folder, monkeypatch):
    """The names of the runs that began; they run in this process."""
    tiny_tasks.write_jsonl(folder / "data" / "test.jsonl", tiny_tasks.labelled_rows(40, 7))
    names = []

    def start(run):
        names.append(run.name)
        run.path.parent.mkdir(parents=True, exist_ok=True)
        finetune(run.recipe, run.path)
        return Finished()

    monkeypatch.setattr(child_runs, "_start", start)
    monkeypatch.setattr(child_runs, "_POLL_SECONDS", 0)
    return names


def comparison(*settings: str) -> Comparison:
    path, everything = Path("classify.yaml"), [*USUAL, *settings]
    recipe = load_recipe(CompareRecipe, path, everything)
    return Comparison(recipe, given_values(path, everything), OUT)


def compared(*settings: str) -> dict:
    return comparison(*settings).run(jobs=1, say=lambda line: None)


def facts_of(run: str) -> dict:
    return json.loads((OUT / run / "best" / "lowkey.json").read_text())


def test_trials_choose_the_rate_and_seeds_the_score(begun):
    result = compared("compare.rate_factors=[0.1, 100.0]", "train.max_steps=6")
    # As many trials for each, before any run that sees the test rows.
    assert begun[:4] == [
        "lora, rate 5e-05",
        "full, rate 5e-06",
        "lora, rate 0.05",
        "full, rate 0.005",
    ]
    assert begun[4:] == [f"{name}, seed {seed}" for seed in (1, 2, 3) for name in ("lora", "full")]
    for name, rates in (("lora", ("5e-05", "0.05")), ("full", ("5e-06", "0.005"))):
        trials = [facts_of(f"trials/{name}/{rate}") for rate in rates]
        assert all("test_rows" not in trial["counts"] for trial in trials)
        scores = [trial["metrics"]["accuracy"]["value"] for trial in trials]
        assert [one["score"] for one in result["trials"][name]] == scores
        best = float(rates[int(np.argmax(scores))])
        assert result["contenders"][name]["learning_rate"] == best
        for seed in (1, 2, 3):
            recipe = load_recipe(CompareRecipe, OUT / f"runs/{name}/seed-{seed}/config.yaml")
            assert (recipe.train.learning_rate, recipe.train.seed) == (best, seed)
    assert json.loads((OUT / "comparison.json").read_text()) == result


def test_scores_and_differences_are_those_of_the_answers(begun):
    result = compared("compare.rate_factors=[30.0]", "train.max_steps=4")
    assert result["trials"] == {"lora": [], "full": []}
    rows = Path("data/test.jsonl").read_text().splitlines()
    truth = [json.loads(row)["label"] for row in rows]
    scores, hits = {}, {}
    for name in ("lora", "full"):
        files = [OUT / f"runs/{name}/seed-{seed}/answers.jsonl" for seed in (1, 2, 3)]
        answers = [
            [json.loads(line)["output"] for line in file.read_text().splitlines()] for file in files
        ]
        scores[name] = [accuracy_score(truth, each) for each in answers]
        hits[name] = np.mean([np.array(each) == np.array(truth) for each in answers], axis=0)
        found = result["contenders"][name]
        assert found["metrics"]["accuracy"]["value"] == pytest.approx(np.mean(scores[name]))
        assert [run["metrics"]["accuracy"] for run in found["runs"]] == pytest.approx(scores[name])
    assert scores["lora"] != scores["full"]  # otherwise nothing would be compared here
    difference = result["differences"]["lora"]["accuracy"]
    theirs = ttest_rel(scores["lora"], scores["full"]).confidence_interval(0.95)
    assert difference["over_seeds"]["low"] == pytest.approx(theirs.low)
    assert difference["over_rows"]["value"] == pytest.approx((hits["lora"] - hits["full"]).mean())
    assert (result["rows"], result["metric"], result["against"]) == (40, "accuracy", "full")
    assert len(result["verdicts"]) == 1


def test_costs_are_medians_of_what_the_runs_took(begun):
    result = compared("compare.rate_factors=[1.0]")
    for name in ("lora", "full"):
        counts = [facts_of(f"runs/{name}/seed-{seed}")["counts"] for seed in (1, 2, 3)]
        for key, value in result["contenders"][name]["costs"].items():
            assert value == sorted(one[key] for one in counts)[1]


def test_what_is_there_is_not_trained_again(begun):
    first = compared("compare.rate_factors=[1.0]", "compare.seeds=[1, 2]")
    begun.clear()
    assert compared("compare.rate_factors=[1.0]", "compare.seeds=[1, 2]") == first
    assert begun == []
    compared("compare.rate_factors=[1.0]", "compare.seeds=[1, 2, 3]")
    assert begun == ["lora, seed 3", "full, seed 3"]
    with pytest.raises(ConfigError, match="holds a run of another recipe"):
        compared("compare.rate_factors=[1.0]", "compare.seeds=[1, 2]", "train.max_steps=3")


def test_seeds_differ_and_methods_share_the_order_of_the_rows(begun):
    compared("compare.rate_factors=[1.0]", "compare.seeds=[1, 2]", "train.logging_steps=1")
    losses = {}
    for name in ("lora", "full"):
        for seed in (1, 2):
            lines = (OUT / f"runs/{name}/seed-{seed}/metrics.jsonl").read_text().splitlines()
            losses[name, seed] = [
                r["train/loss"] for r in map(json.loads, lines) if "train/loss" in r
            ]
    assert losses["lora", 1] != losses["lora", 2]
    # Before the first update a LoRA model is its base, so that the first batch costs the same.
    assert losses["lora", 1][0] == pytest.approx(losses["full", 1][0], abs=1e-4)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["train.learning_rate=0.1"], "train.learning_rate holds for all contenders"),
        (
            ["compare.contenders={a: {method: lorra}}"],
            "compare.contenders.a: method must be one of",
        ),
        (["compare.contenders={a: {lora.rank: 4}}"], "compare.contenders.a: unknown key lora.rank"),
        (["compare.metric=bleu"], 'compare.metric "bleu" is never computed for this task'),
    ],
)
def test_what_cannot_be_run_is_told(begun, settings, said):
    with pytest.raises(ConfigError) as caught:
        compared("compare.seeds=[1]", "compare.rate_factors=[1.0, 2.0]", *settings)
    assert said in str(caught.value)


def test_an_undefined_score_is_no_trials_best(begun, monkeypatch):
    compare = comparison("compare.rate_factors=[1.0, 2.0]")
    runs = compare._trials("lora")
    facts = Facts(kind="regression", task="regress", method="lora")
    found = iter([None, 0.1])
    monkeypatch.setattr(
        "lowkey.experiments.comparison.Facts.read",
        lambda folder: facts.model_copy(update={"metrics": {"pearson": {"value": next(found)}}}),
    )
    assert compare._best_rate("lora", runs) == runs[1].recipe.train.learning_rate
