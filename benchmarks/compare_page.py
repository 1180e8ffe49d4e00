"""The page about LoRA beside full fine-tuning, written from the files of ``compare-*``."""

from collections.abc import Mapping
from typing import Any

from benchmarks.page_parts import made_on
from lowkey.metrics.intervals import Score
from lowkey.reports.figures import svg
from lowkey.reports.plots import scores

TASKS = {
    "sentiment": "sentiment of a sentence (2 classes)",
    "ratings_movie": "mean rating of a sentence (regression)",
    "pairs_movie": "which of two sentences was rated higher (pairs)",
    "tag_pos_pt": "parts of speech of Portuguese news (17 tags)",
    "topics": "section of a package of Debian (26 unequal classes)",
}
_METRICS = {"accuracy": "accuracy", "f1_macro": "macro-F1", "pearson": "Pearson's r"}
_LORA = "lora"


def lora_or_full(reports: Mapping[str, Any]) -> str:
    """Writes the page.

    Args:
        reports: Contents of the result files, by the name of the set.

    Returns:
        Markdown.
    """
    return (
        "# LoRA or full fine-tuning?\n\n"
        "The same encoder (MiniLM, 6 layers of width 384), the same rows in the same order, five"
        " seeds. Each method tried its learning rate and 0.3 and 3 times of it on the validation"
        " rows, with a seed of its own; test rows were first read when the rate was settled.\n\n"
        f"{_scores_table(reports)}\n\n"
        "Points are hundredths of the metric; in brackets 95 % intervals. That over seeds says what"
        " other runs might have given (Student's t of the five paired differences), that over rows"
        " what another test set might have said of these runs (bootstrap). A difference is called"
        " one if both leave out 0.\n\n"
        "![Differences with their intervals over seeds](pictures/lora_or_full.svg)\n\n"
        "## What it cost\n\n"
        f"{_costs_table(reports)}\n\n"
        "LoRA's cost as a share of full fine-tuning's: medians over the seeds. Both trained at the"
        " same time, one thread each. The parameters are those that were trained, the head"
        " included.\n\n"
        "## In words\n\n"
        + "\n".join(
            f"- **{name}**: {sentence}"
            for name, report in reports.items()
            for sentence in report["result"]["verdicts"]
        )
        + "\n\n## How it was made\n\n```bash\n"
        + "\n".join(f"make results {report['benchmark']}" for report in reports.values())
        + "\n```\n\n"
        + "\n".join(f"- {_made(name, report)}" for name, report in reports.items())
        + "\n"
    )


def picture(reports: Mapping[str, Any]) -> str:
    """Draws the differences with their intervals over seeds.

    Args:
        reports: Contents of the result files, by the name of the set.

    Returns:
        SVG.
    """
    rows = []
    for name, report in reports.items():
        found = _difference(report)["over_seeds"]
        rows.append((name, Score(found["value"], found["low"], found["high"], found["n"])))
    return svg(scores(rows, axis="LoRA minus full fine-tuning"))


def _difference(report: Any) -> Any:
    result = report["result"]
    return result["differences"][_LORA][result["metric"]]


def _points(one: Any) -> str:
    value, low, high = (100 * one[key] for key in ("value", "low", "high"))
    return f"{value:+.2f} ({low:+.2f} to {high:+.2f})"


def _scores_table(reports: Mapping[str, Any]) -> str:
    lines = [
        "| task | metric | LoRA | full | difference over seeds, points | over rows |",
        "|---|---|---|---|---|---|",
    ]
    for name, report in reports.items():
        result = report["result"]
        metric, difference = result["metric"], _difference(report)
        means = [
            f"{100 * result['contenders'][one]['metrics'][metric]['value']:.2f}"
            for one in (_LORA, "full")
        ]
        cells = [TASKS[name], _METRICS[metric], *means]
        cells += [_points(difference[over]) for over in ("over_seeds", "over_rows")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _costs_table(reports: Mapping[str, Any]) -> str:
    lines = ["| task | parameters | time | memory | disk |", "|---|---|---|---|---|"]
    for name, report in reports.items():
        ours, theirs = (report["result"]["contenders"][one]["costs"] for one in (_LORA, "full"))
        share = {key: ours[key] / theirs[key] for key in ours}
        cells = [
            TASKS[name],
            f"{100 * share['trainable_parameters']:.2f} %",
            f"{share['training_seconds']:.2f}",
            f"{share['peak_memory_mib']:.2f}",
            f"{100 * share['disk_bytes']:.1f} %",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _made(name: str, report: Any) -> str:
    result = report["result"]
    rates = ", ".join(
        f"{one} {each['learning_rate']:g}" for one, each in result["contenders"].items()
    )
    return (
        f"**{name}**: {result['train_rows']:,} rows to learn from, {result['rows']:,} test rows;"
        f" data: {report['data']}. Learning rates: {rates}. {report['runs']} runs,"
        f" {report['jobs']} at a time, {report['training_minutes']:.0f} minutes of training."
        f" {made_on(report)}"
    )
