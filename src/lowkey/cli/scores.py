"""How ``lowkey evaluate`` tells scores to people."""

from collections.abc import Iterator, Mapping
from typing import Any

from lowkey.errors import escaped, shown
from lowkey.reports.facts import lower_is_better

_LETTERS = 120


def scores_in_words(scores: Mapping[str, Any]) -> str:
    """Writes one line for each metric; one that these rows leave undefined is told as such.

    Args:
        scores: What ``evaluate`` returned.

    Returns:
        The lines.
    """
    return "\n".join([*_scores(scores["metrics"]), f"on {scores['rows']} rows"])


def comparison_in_words(comparison: Mapping[str, Any]) -> str:
    """Writes the scores of each system, the differences, and the rows that tell most.

    Args:
        comparison: What ``compare`` returned.

    Returns:
        The lines.
    """
    lines: list[str] = []
    for system in comparison["systems"]:
        lines += [
            escaped(system["name"]),
            *(f"  {_score(*one)}" for one in system["metrics"].items()),
        ]
    for one in comparison["differences"]:
        name, other = escaped(one["name"]), escaped(one["minus"])
        lines.append(f"{name} minus {other}")
        for metric, difference in one["metrics"].items():
            lines.append(f"  {_difference(metric, difference)}")
            if "mcnemar" in difference:
                lines.append(f"    {_mcnemar(difference['mcnemar'], name, other)}")
    # All systems meet the same references, so that their signatures are the same.
    for metric, score in comparison["systems"][0]["metrics"].items():
        if "signature" in score:
            lines.append(f"{metric} is {score['signature']}")
    lines.append(f"on {comparison['rows']} rows")
    names = [escaped(system["name"]) for system in comparison["systems"]]
    return "\n".join([*lines, *_apart(comparison["apart"], names)])


def _scores(metrics: Mapping[str, Any]) -> Iterator[str]:
    for name, metric in metrics.items():
        yield _score(name, metric)
        if "signature" in metric:
            yield f"  {metric['signature']}"


def _score(name: str, metric: Mapping[str, Any]) -> str:
    value, low, high = (metric[key] for key in ("value", "low", "high"))
    interval = "" if low is None else f" (95 % interval {low:.4f} to {high:.4f})"
    return f"{name} " + ("undefined" if value is None else f"{value:.4f}{interval}")


def _difference(metric: str, difference: Mapping[str, Any]) -> str:
    value, low, high = (difference[key] for key in ("value", "low", "high"))
    if value is None:
        return f"{metric} undefined"
    good = "; lower is better" if lower_is_better(metric) else ""
    return (
        f"{metric} {value:+.4f} (95 % interval {low:+.4f} to {high:+.4f}{good}),"
        f" p {difference['p_bootstrap']:.4f} by bootstrap,"
        f" {difference['p_randomization']:.4f} by randomization"
    )


def _mcnemar(test: Mapping[str, Any], name: str, other: str) -> str:
    return (
        f"counted for {name} alone: {test['only_a']} rows, for {other} alone: {test['only_b']};"
        f" p {test['p_value']:.4f} by McNemar's test"
    )


def _apart(apart: Mapping[str, Any], names: list[str]) -> Iterator[str]:
    """Shows the rows on which the systems are farthest apart, if there are several systems."""
    if not apart["rows"]:
        return
    yield f"farthest apart by {apart['metric']}"
    for row in apart["rows"]:
        yield f"  {escaped(row['where'])}: {_short(row['input'])}"
        yield f"    truth: {_short(row['truth'])}"
        for name, output, score in zip(names, row["outputs"], row["scores"], strict=False):
            told = "undefined" if score is None else f"{score:.4g}"
            yield f"    {name} ({told}): {_short(output)}"


def _short(value: object) -> str:
    return escaped(shown(value, _LETTERS))
