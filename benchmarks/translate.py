"""A real translation job on a small machine: English to German, 28,769 pairs, from scratch."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.side_by_side import Report
from benchmarks.training_job import run_job
from lowkey.experiments.evaluation import compare

RECIPE = Path(__file__).parent / "recipes" / "translate_en_de.yaml"
# Enough to see that the whole path works; the scores mean nothing.
QUICK = ("train.time_budget=60", "data.limit=2000", "decode.max_length=60")
DATA = {
    "name": "descriptions of Debian's packages and their German translations",
    "public": "not part of lowkey; benchmarks/debian_descriptions.py makes it from its origin",
    "split": "94 : 2 : 4 by family of packages: no family in two parts; sources equal up to digits"
    " are removed from validation and test",
}


def run(*, quick: bool, passes: Sequence[str]) -> Report:
    """Trains and scores.

    Args:
        quick: Whether to train for a minute only.
        passes: Not used: the recipe says how many threads it takes.

    Returns:
        Scores, costs, curve and what the baselines reach, as JSON values.
    """
    name = "translate-quick" if quick else "translate"
    report, folder = run_job(name, RECIPE, QUICK if quick else ())
    test = report["recipe"]["data"]["test"]
    against = compare([folder.path], test, baselines=True)
    # The sentences belong to their packages' authors: scores are published, texts are not.
    report |= {"benchmark": "translate", "data": DATA, "samples": []}
    return {**report, "baselines": {key: against[key] for key in ("systems", "differences")}}


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
    for difference in report["baselines"]["differences"]:
        bleu = difference["metrics"]["bleu"]
        lines.append(
            f"{difference['name']}: BLEU {bleu['value']:+.1f} ({bleu['low']:+.1f} to"
            f" {bleu['high']:+.1f}) beside ours"
        )
    counts = report["counts"]
    lines.append(
        f"on {counts['test_rows']:,} sentences; {counts['parameters']:,} parameters,"
        f" {counts['epochs']:.0f} epochs in {counts['training_seconds'] / 60:.0f} minutes"
    )
    return "\n".join(lines)
