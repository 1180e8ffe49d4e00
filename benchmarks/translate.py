"""A real translation job on a small machine: English to German, 28,769 pairs, from scratch."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.side_by_side import Report
from benchmarks.training_job import run_job

RECIPE = Path(__file__).parent / "recipes" / "translate_en_de.yaml"
# Enough to see that the whole path works; the scores mean nothing.
QUICK = ("train.time_budget=60", "data.limit=2000", "decode.max_length=60")


def run(*, quick: bool, passes: Sequence[str]) -> Report:
    """Trains and scores.

    Args:
        quick: Whether to train for a minute only.
        passes: Not used: the recipe says how many threads it takes.

    Returns:
        Scores, costs and curve, as JSON values.
    """
    name = "translate-quick" if quick else "translate"
    report, _ = run_job(name, RECIPE, QUICK if quick else ())
    return {**report, "benchmark": "translate"}


def show(report: Report) -> str:
    """Writes a report for people.

    Args:
        report: What ``run`` gave.

    Returns:
        Some lines.
    """
    lines = [
        f"{metric} {score['value']:.1f} ({score['low']:.1f} to {score['high']:.1f})"
        for metric, score in report["metrics"].items()
    ]
    counts = report["counts"]
    lines.append(
        f"on {counts['test_rows']:,} sentences; {counts['parameters']:,} parameters,"
        f" {counts['epochs']:.0f} epochs in {counts['training_seconds'] / 60:.0f} minutes"
    )
    return "\n".join(lines)
