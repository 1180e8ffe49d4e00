"""One full training as a benchmark: from a recipe to scores, costs and a learning curve.

The run lies in ``runs/results/NAME`` and can be interrupted and taken up: the same command goes on
where it was stopped, and what is finished is not trained again.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.machine import provenance
from benchmarks.side_by_side import Report, write_report
from lowkey.config import load_recipe
from lowkey.experiments.config import TranslationRecipe
from lowkey.experiments.translation import train
from lowkey.pipelines.bundle import Facts
from lowkey.run_folder import RunFolder

RUNS = Path("runs") / "results"
_PROVENANCE = "provenance.json"


def run_job(name: str, recipe: Path, settings: Sequence[str]) -> tuple[Report, RunFolder]:
    """Trains, or takes up what was begun, and collects what came of it.

    Args:
        name: Name of the benchmark and of the run folder.
        recipe: The recipe.
        settings: Overrides of the form ``a.b=value``.

    Returns:
        The report as JSON values, and the run.
    """
    run = RunFolder(RUNS / name)
    if not finished(run):
        loaded = load_recipe(TranslationRecipe, recipe, settings)
        start = provenance()
        train(loaded, run.path, resume=run.exists())
        write_report(start, run.path / _PROVENANCE)
    # What is scored again later is still what was trained then.
    start = json.loads((run.path / _PROVENANCE).read_text(encoding="utf-8"))
    facts = json.loads((run.best / "lowkey.json").read_text(encoding="utf-8"))
    used = yaml.safe_load(run.config_file.read_text(encoding="utf-8"))
    command = " ".join(
        ["lowkey train --config", recipe.name, *(f"--set {setting}" for setting in settings)]
    )
    return {
        "benchmark": name,
        **start,
        "command": command,
        "recipe": used,
        "environment": facts["environment"],
        "counts": facts["counts"],
        "metrics": facts["metrics"],
        "samples": facts["samples"],
        "curve": curve(run),
    }, run


def finished(run: RunFolder) -> bool:
    """Tells whether a run has come to its end.

    Args:
        run: The run.

    Returns:
        Whether its best model is there with its final scores.
    """
    return (run.best / "lowkey.json").is_file() and bool(Facts.read(run.best).metrics)


def curve(run: RunFolder) -> list[dict[str, Any]]:
    """Reads the learning curve.

    Args:
        run: The run.

    Returns:
        For each evaluation its step, seconds of training and scores.
    """
    metrics = [json.loads(line) for line in run.metrics_file.read_text().splitlines()]
    timings = [json.loads(line) for line in run.timings_file.read_text().splitlines()]
    seconds = {record["step"]: record.get("time/seconds") for record in timings}
    points = []
    for record in metrics:
        scores = {k.removeprefix("eval/"): v for k, v in record.items() if k.startswith("eval/")}
        if scores:
            known = [step for step in seconds if step <= record["step"]]
            at = seconds[max(known)] if known else None
            points.append({"step": record["step"], "seconds": at, **scores})
    return points
