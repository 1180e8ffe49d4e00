"""Writes docs/results from the result files and nothing else.

    python -m benchmarks.pages

writes the pages and their pictures; a test holds the pages to what this program writes.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import compare_page
from benchmarks.page_parts import SAMPLED, SHARES, TITLES, how, made_on, number, samples, scores
from benchmarks.pronounce import GOALS
from benchmarks.summary import RESULTS
from lowkey.reports.curves import Curve, Panel
from lowkey.reports.figures import svg
from lowkey.reports.plots import learning_curves

PAGES = Path(__file__).parents[1] / "docs" / "results"
_HEAD = "<!-- written by python -m benchmarks.pages; change benchmarks/results instead -->\n\n"


def pronounce(report: Any) -> str:
    """Writes the page of the full pronunciation job.

    Args:
        report: Content of its result file.

    Returns:
        Markdown.
    """
    counts, scored = report["counts"], report["scored"]
    return (
        "# Pronunciation: from letters to sounds\n\n"
        f"An encoder-decoder Transformer of {counts['parameters']:,} parameters, trained from"
        f" scratch on the {counts['train_rows']:,} training words of the CMU Pronouncing"
        f" Dictionary that come with lowkey, scored once on {counts['test_rows']:,} words it never"
        " saw.\n\n"
        f"{scores(report)}\n\n"
        f"{_goals(report)}\n\n"
        "Published systems, on other splits of the same dictionary: 20 to 24 % of the words wrong,"
        " 4.7 to 5.9 % of the sounds. Split, stress and the handling of alternatives move these"
        " figures by several points, so here is how ours are meant:\n\n"
        f"- **Split**: {scored['split']}.\n"
        f"- **Stress**: {scored['stress']}.\n"
        f"- **Alternatives**: {scored['alternatives']}.\n"
        f"- **Trained on**: {scored['training_targets']}.\n\n"
        f"{how(report, 'pronounce')}\n\n"
        "![Learning curves](pictures/pronounce.svg)\n\n"
        f"{SAMPLED}\n\n"
        f"## Words from the test set\n\n{samples(report)}\n"
    )


def _goals(report: Any) -> str:
    """Says of each goal whether it was reached."""
    parts = []
    for name, goal in GOALS.items():
        reached = report["metrics"][name]["value"] <= goal
        end = "reached" if reached else "missed"
        parts.append(f"{TITLES[name]} at most {100 * goal:.0f} % ({end})")
    return f"The goal of the job: {', '.join(parts)}."


def translate(report: Any) -> str:
    """Writes the page of the translation job.

    Args:
        report: Content of its result file.

    Returns:
        Markdown.
    """
    counts, data = report["counts"], report["data"]
    signatures = "; ".join(
        f"`{score['signature']}`" for score in report["metrics"].values() if "signature" in score
    )
    return (
        "# Translation: English to German on two cores\n\n"
        f"An encoder-decoder Transformer of {counts['parameters']:,} parameters, trained from"
        f" scratch on {counts['train_rows']:,} pairs ({data['name']}), scored once on"
        f" {counts['test_rows']:,} others. This is a small job on little data: it shows what little"
        " time of a small machine buys, not what translation can be.\n\n"
        f"{_beside_baselines(report)}\n\n"
        f"Signatures of sacrebleu: {signatures}. In brackets 95 % intervals (bootstrap over"
        " sentences). The baselines learn nothing: one copies the source, the other takes the"
        " German of the training sentence whose English is most like it.\n\n"
        f"- **Data**: {data['public']}.\n"
        f"- **Split**: {data['split']}.\n\n"
        f"{how(report, 'translate')}\n\n"
        "![Learning curves](pictures/translate.svg)\n\n"
        f"{SAMPLED}\n"
    )


def toy_tasks(report: Any) -> str:
    """Writes the page of the toys.

    Args:
        report: Content of its result file.

    Returns:
        Markdown.
    """
    lines = ["| toy | exact match | 95 % interval | steps | seconds |", "|---|---|---|---|---|"]
    for name, task in report["tasks"].items():
        score = task["exact_match"]
        value, low, high = (f"{100 * score[key]:.1f} %" for key in ("value", "low", "high"))
        cells = [f"`{name}`", value, f"{low} to {high}", f"{task['steps']:,}"]
        lines.append(f"| {' | '.join(cells)} | {task['training_seconds']:.0f} |")
    table = "\n".join(lines)
    return (
        "# Toys: reverse, copy, dates\n\n"
        "What the [toys](../guides/toys.md) reach with the recipes that come with lowkey, on rows"
        " of which no word, and no day, occurs in the training.\n\n"
        f"{table}\n\n"
        "```bash\nmake results toy_tasks\n```\n\n"
        f"One seed, one thread, fp32. {made_on(report)}\n"
    )


def _beside_baselines(report: Any) -> str:
    systems = report["baselines"]["systems"]
    names = list(systems[0]["metrics"])
    lines = [
        "| system | " + " | ".join(TITLES.get(name, name) for name in names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for index, system in enumerate(systems):
        cells = []
        for name in names:
            score = system["metrics"][name]
            value, low, high = (number(name, score[key]) for key in ("value", "low", "high"))
            cells.append(f"{value} ({low} to {high})")
        title = "**the Transformer**" if index == 0 else system["name"]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def picture(report: Any) -> str:
    """Draws the learning curves of a run.

    Args:
        report: Content of its result file.

    Returns:
        SVG.
    """
    points = report["curve"]
    steps = [point["step"] for point in points]

    def panel(title: str, names: Sequence[str], unit: Any) -> Panel:
        curves = [Curve(TITLES.get(n, n), steps, [p[n] for p in points]) for n in names]
        return Panel(title, curves, unit)

    decoded = [name for name in TITLES if name in points[0]]
    unit = "share" if decoded[0] in SHARES else "number"
    panels = [
        panel("negative log-likelihood, nats a token", ["nll"], "number"),
        panel("scores of decoded rows", decoded, unit),
    ]
    return svg(learning_curves(panels))


WRITERS: dict[str, Callable[[Any], str]] = {
    "pronounce": pronounce,
    "translate": translate,
    "toy_tasks": toy_tasks,
}


def read(name: str) -> Any:
    """Reads a result file.

    Args:
        name: Name of the benchmark.

    Returns:
        Its content; None where there is no such file yet.
    """
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def pages() -> dict[str, str]:
    """Writes the pages.

    Returns:
        The Markdown of each page, by the name of its file.
    """
    found = {name: read(name) for name in WRITERS}
    written = {
        f"{name}.md": _HEAD + WRITERS[name](report)
        for name, report in found.items()
        if report is not None
    }
    if compared := comparisons():
        written["lora_or_full.md"] = _HEAD + compare_page.lora_or_full(compared)
    return written


def comparisons() -> dict[str, Any]:
    """Reads the comparisons that there are.

    Returns:
        The content of each result file, by the name of the set.
    """
    found = {name: read(f"compare-{name}") for name in compare_page.TASKS}
    return {name: report for name, report in found.items() if report is not None}


def main() -> None:
    """Writes pages and pictures into docs/results."""
    (PAGES / "pictures").mkdir(parents=True, exist_ok=True)
    drawn = {name: picture(report) for name in WRITERS if "curve" in (report := read(name) or {})}
    if compared := comparisons():
        drawn["lora_or_full"] = compare_page.picture(compared)
    for name, image in drawn.items():
        (PAGES / "pictures" / f"{name}.svg").write_text(image, encoding="utf-8")
    for file, text in pages().items():
        (PAGES / file).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
