"""How well and how fast the toys are learned: the recipes reverse, copy and dates, trained."""

import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from benchmarks.machine import provenance
from benchmarks.side_by_side import Report
from lowkey.config import load_recipe
from lowkey.experiments.config import TranslationRecipe
from lowkey.experiments.translation import train

NAMES = ("reverse", "copy", "dates")


def run(*, quick: bool, passes: Sequence[str]) -> Report:
    """Trains each toy as its recipe says and scores it on its test rows.

    Args:
        quick: Whether to make a hundred steps only.
        passes: Not used: the recipes ask for one thread.

    Returns:
        Exact matches and costs of each toy, as JSON values.
    """
    start = provenance()
    settings = ["train.max_steps=100"] if quick else []
    with tempfile.TemporaryDirectory() as folder:
        tasks = {name: _trained(name, Path(folder) / name, settings) for name in NAMES}
    return {"benchmark": "toy_tasks", **start, "settings": {"quick": quick}, "tasks": tasks}


def _trained(name: str, out: Path, settings: Sequence[str]) -> Report:
    config = Path(str(files("lowkey") / "recipes" / f"{name}.yaml"))
    facts = train(load_recipe(TranslationRecipe, config, list(settings)), out)
    error = facts.metrics["word_error_rate"]
    counts = ("parameters", "steps", "training_seconds", "train_rows", "test_rows")
    # Wrong is every output that is not the target to the letter.
    exact = {"value": "value", "low": "high", "high": "low"}
    return {
        "exact_match": {key: 1 - error[opposite] for key, opposite in exact.items()},
        **{key: facts.counts[key] for key in counts},
        "environment": facts.environment,
    }


def show(report: Report) -> str:
    """Writes a report for people.

    Args:
        report: What ``run`` gave.

    Returns:
        Some lines.
    """
    lines = []
    for name, task in report["tasks"].items():
        value, low, high = (100 * task["exact_match"][key] for key in ("value", "low", "high"))
        lines.append(
            f"  {name:<8} exact {value:.1f} % ({low:.1f} to {high:.1f}) after {task['steps']} steps"
            f" in {task['training_seconds']:.0f} s, {task['parameters']:,} parameters"
        )
    return "\n".join(lines)
