"""What a comparison says in plain words, by rules that are written here.

A contender is *better* or *worse* than the yardstick if the 95 % intervals of their difference,
over seeds and over test rows, both leave out 0. Otherwise the two are not told apart, which is no
proof that they are equal: the intervals say how far apart they may be.
"""

from collections.abc import Mapping
from typing import Any

from lowkey.reports.facts import lower_is_better

_IN_POINTS = ("mse", "nll", "perplexity")


def verdicts(result: Mapping[str, Any]) -> list[str]:
    """Speaks of each contender but the yardstick.

    Args:
        result: What :class:`lowkey.experiments.comparison.Comparison` found.

    Returns:
        One sentence for each.
    """
    return [_verdict(name, result) for name in result["differences"]]


def _verdict(name: str, result: Mapping[str, Any]) -> str:
    metric, against = result["metric"], result["against"]
    found = result["differences"][name][metric]
    seeds, rows = found["over_seeds"], found["over_rows"]
    if seeds["value"] is None:
        return f"{name} cannot be compared with {against}: {metric} is undefined."
    intervals = [one for one in (seeds, rows) if one["low"] is not None]
    sign = -1 if lower_is_better(metric) else 1
    if all(one["low"] > 0 or one["high"] < 0 for one in intervals):
        word = "better" if seeds["value"] * sign > 0 else "worse"
        claim = f"{name} is {word} than {against}"
    else:
        claim = f"{name} is not distinguishable from {against}"
    scale, unit = (1, "") if metric.endswith(_IN_POINTS) else (100, " points")
    gap = f"difference {scale * seeds['value']:+.2f}{unit}"
    ranges = []
    for one, over in ((seeds, f"{seeds['n']} seeds"), (rows, f"{rows['n']:,} test rows")):
        if one["low"] is not None:
            ranges.append(f"over {over} {scale * one['low']:+.2f} to {scale * one['high']:+.2f}")
    costs = [result["contenders"][one]["costs"] for one in (name, against)]
    return f"{claim} by {metric} ({gap}; 95 % interval {', '.join(ranges)}). It {_costs(*costs)}."


def _costs(ours: Mapping[str, int | float], theirs: Mapping[str, int | float]) -> str:
    """Says what a contender cost, in shares of what the yardstick did."""
    share = {key: ours[key] / theirs[key] for key in ours if theirs[key]}
    trained = f"trained {100 * share['trainable_parameters']:.2g} % of the parameters"
    return (
        f"{trained} in {share['training_seconds']:.2f} of the time, with"
        f" {share['peak_memory_mib']:.2f} of the memory, and takes"
        f" {100 * share['disk_bytes']:.2g} % of the disk"
    )
