"""LoRA against full fine-tuning on real tasks: five seeds, as many trials for each, test read once.

The runs lie in ``runs/results/compare-NAME``; the same command goes on where it was stopped.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import cores, provenance
from benchmarks.side_by_side import Report, write_report
from benchmarks.training_job import RUNS
from lowkey.cli.comparing import comparison_of_methods
from lowkey.config import load_recipe
from lowkey.config.recipe import given_values
from lowkey.experiments.compare_config import CompareRecipe
from lowkey.experiments.comparison import Comparison

RECIPES = Path(__file__).parent / "recipes"
# Enough to see that the whole path works; the scores mean nothing.
QUICK = ("compare.seeds=[1, 2]", "compare.rate_factors=[1.0]", "train.max_steps=10")
NOT_PUBLIC = {
    "topics": "not part of lowkey; benchmarks/debian_topics.py makes it from Debian's own files"
}
_PROVENANCE = "provenance.json"


def run(part: str, *, quick: bool, passes: Sequence[str]) -> Report:
    """Compares on one set.

    Args:
        part: Name of the set.
        quick: Whether to make a few steps only.
        passes: Not used: each training takes one thread, and as many run as there are cores.

    Returns:
        The comparison and where it was made, as JSON values.
    """
    name = f"compare-{part}"
    recipe, settings = RECIPES / f"{name}.yaml", QUICK if quick else ()
    out = RUNS / (f"{name}-quick" if quick else name)
    kept = out / _PROVENANCE
    start: dict[str, Any] = provenance()
    if kept.exists():  # what is put together again later is still what was trained then
        start = json.loads(kept.read_text(encoding="utf-8"))
    comparison = Comparison(
        load_recipe(CompareRecipe, recipe, settings), given_values(recipe, settings), out
    )
    out.mkdir(parents=True, exist_ok=True)
    write_report(start, kept)
    jobs = cores()
    result = comparison.run(jobs=jobs, say=lambda line: print(line, flush=True))
    seconds = [
        one["training_seconds"]
        for each in (
            *result["trials"].values(),
            *(c["runs"] for c in result["contenders"].values()),
        )
        for one in each
    ]
    return {
        "benchmark": name,
        **start,
        "command": f"lowkey compare --config {recipe.name} --jobs {jobs}",
        "jobs": jobs,
        "recipe": given_values(recipe, settings),
        "data": NOT_PUBLIC.get(part, "in this repository"),
        "runs": len(seconds),
        "training_minutes": sum(seconds) / 60 / jobs,
        "result": result,
    }


def show(report: Report) -> str:
    """Writes a report for people.

    Args:
        report: What ``run`` gave.

    Returns:
        Some lines.
    """
    took = f"{report['runs']} runs, {report['jobs']} at a time: {report['training_minutes']:.0f}"
    return f"{comparison_of_methods(report['result'])}\n\n{took} minutes of training"
