"""Parts that the pages of results share: tables of scores and samples, and how they were made."""

from typing import Any

SAMPLED = (
    "The curves are of the validation set: its likelihood over all rows, its scores over the rows"
    " that are decoded at each evaluation."
)
SHARES = ("word_error_rate", "token_error_rate", "exact_match")
TITLES = {
    "word_error_rate": "words wrong",
    "token_error_rate": "phoneme error",
    "exact_match": "exactly right",
    "bleu": "BLEU",
    "chrf": "chrF",
    "ter": "TER",
}


def made_on(report: Any) -> str:
    """Says on what machine and by what code.

    Args:
        report: Content of a result file.

    Returns:
        One sentence.
    """
    machine = report["machine"]
    return (
        f"On {machine['processor']} with {machine['cores']} cores, torch"
        f" {report['versions']['torch']}; commit `{(report['commit'] or 'unknown')[:10]}`,"
        f" {report['date'][:10]}."
    )


def scores(report: Any) -> str:
    """Writes the table of the final scores.

    Args:
        report: Content of a result file.

    Returns:
        Markdown.
    """
    lines = ["| score | value | 95 % interval |", "|---|---|---|"]
    for name, score in report["metrics"].items():
        value, low, high = (number(name, score[key]) for key in ("value", "low", "high"))
        lines.append(f"| {TITLES.get(name, name)} | {value} | {low} to {high} |")
    return "\n".join(lines)


def number(name: str, value: float) -> str:
    """Writes one score.

    Args:
        name: Name of the metric.
        value: Its value.

    Returns:
        A percentage for shares, else a plain number.
    """
    return f"{100 * value:.2f} %" if name in SHARES else f"{value:.1f}"


def how(report: Any, name: str) -> str:
    """Says how a training was made.

    Args:
        report: Content of its result file.
        name: What to type behind ``make results``.

    Returns:
        Markdown.
    """
    counts, place = report["counts"], report["environment"]
    return (
        "## How it was made\n\n"
        f"```bash\nmake results {name}\n```\n\n"
        f"runs `{report['command']}`: {counts['steps']:,} steps, {counts['epochs']:.0f} passes over"
        f" the data, {counts['train_tokens']:,} tokens in"
        f" {counts['training_seconds'] / 60:.0f} minutes of {place['threads']} thread"
        f"{'s' if place['threads'] > 1 else ''} in {place['dtype']} (evaluations and checkpoints"
        f" included), at most {counts['peak_memory_mib'] / 1024:.1f} GiB of memory. One seed."
        f" {made_on(report)} The load on the machine was {report['machine']['load_at_start']} when"
        " it began."
    )


def samples(report: Any) -> str:
    """Writes the table of some test rows.

    Args:
        report: Content of a result file.

    Returns:
        Markdown.
    """
    lines = ["| source | written | listed first | |", "|---|---|---|---|"]
    for sample in report["samples"][:10]:
        cells = [_cell(sample.get(key)) for key in ("source", "prediction", "target")]
        mark = "right" if sample["correct"] else ""
        lines.append(f"| {' | '.join(cells)} | {mark} |")
    return "\n".join(lines)


def _cell(text: Any) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")
