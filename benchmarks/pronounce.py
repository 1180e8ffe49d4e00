"""The full job of the recipe ``pronounce``: CMUdict, from letters to sounds, on a small machine."""

from collections.abc import Sequence
from pathlib import Path

import lowkey
from benchmarks.side_by_side import Report
from benchmarks.training_job import run_job

RECIPE = Path(lowkey.__file__).parent / "recipes" / "pronounce.yaml"
# Enough to see that the whole path works; the scores mean nothing.
QUICK = ("train.time_budget=60", "data.limit=20000")
GOALS = {"word_error_rate": 0.24, "token_error_rate": 0.06}
"""What the job is to reach, at most."""

HOW_IT_IS_SCORED = {
    "split": "88 : 3 : 9 by a hash of the word: no word in two parts",
    "stress": "removed: 39 sounds",
    "alternatives": "a guess is right if it equals any listed pronunciation of the word;"
    " the phoneme error counts edits to the nearest one, over its length",
    "training_targets": "the first listed pronunciation",
}


def run(*, quick: bool, passes: Sequence[str]) -> Report:
    """Trains and scores.

    Args:
        quick: Whether to train for a minute only.
        passes: Not used: the recipe says how many threads it takes.

    Returns:
        Scores, costs and curve, as JSON values.
    """
    name = "pronounce-quick" if quick else "pronounce"
    report, _ = run_job(name, RECIPE, QUICK if quick else ())
    return {**report, "benchmark": "pronounce", "scored": HOW_IT_IS_SCORED}


def show(report: Report) -> str:
    """Writes a report for people.

    Args:
        report: What ``run`` gave.

    Returns:
        Some lines.
    """
    names = {"word_error_rate": "words wrong", "token_error_rate": "phoneme error"}
    lines = []
    for metric, score in report["metrics"].items():
        value, low, high = (100 * score[key] for key in ("value", "low", "high"))
        goal = GOALS.get(metric)
        aim = f", goal {goal:.0%}" if goal else ""
        lines.append(f"{names.get(metric, metric)} {value:.2f} % ({low:.2f} to {high:.2f}){aim}")
    counts = report["counts"]
    lines.append(
        f"on {counts['test_rows']:,} held-out words; {counts['parameters']:,} parameters,"
        f" {counts['epochs']:.0f} epochs in {counts['training_seconds'] / 60:.0f} minutes"
    )
    return "\n".join(lines)
