"""What the runs of a comparison reached and cost, as values that JSON can say."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from lowkey.experiments.child_runs import ChildRun
from lowkey.metrics.measure import Measure
from lowkey.metrics.seeds import difference_over_rows, over_seeds, paired_over_seeds
from lowkey.pipelines.bundle import Facts

COSTS = ("trainable_parameters", "training_seconds", "peak_memory_mib", "disk_bytes")


def contender(
    runs: Sequence[ChildRun], facts: Sequence[Facts], metrics: Sequence[str]
) -> dict[str, Any]:
    """Puts the runs of one contender together.

    Args:
        runs: The runs, one for each seed.
        facts: What each came to.
        metrics: Names of the metrics.

    Returns:
        ``learning_rate``, ``metrics`` over the seeds (see :class:`lowkey.metrics.seeds.SeedScore`),
        ``costs`` (medians), ``parameters`` of the whole model, and the single ``runs``.
    """
    return {
        "learning_rate": runs[0].recipe.train.learning_rate,
        "metrics": {
            metric: asdict(over_seeds([value_of(one, metric) for one in facts]))
            for metric in metrics
        },
        "costs": {key: median(one.counts[key] for one in facts) for key in COSTS},
        "parameters": facts[0].counts.get("parameters"),
        "runs": [
            {
                "seed": run.recipe.train.seed,
                "metrics": {metric: value_of(one, metric) for metric in metrics},
                "steps": one.counts["steps"],
                "training_seconds": one.counts["training_seconds"],
            }
            for run, one in zip(runs, facts, strict=True)
        ],
    }


def difference(
    ours: Sequence[Mapping[str, Measure]], theirs: Sequence[Mapping[str, Measure]], metric: str
) -> dict[str, Any]:
    """Compares two contenders by one metric.

    Args:
        ours: The metrics of the test rows of each run of one.
        theirs: The same of the other, in the same order of seeds.
        metric: Name of the metric.

    Returns:
        Ours minus theirs, ``over_seeds`` (:class:`lowkey.metrics.seeds.SeedScore`) and
        ``over_rows`` (:class:`lowkey.metrics.comparison.Difference`).
    """
    sides = [[measures[metric] for measures in side] for side in (ours, theirs)]
    scores = [[measure.plain() for measure in side] for side in sides]
    return {
        "over_seeds": asdict(paired_over_seeds(*scores)),
        "over_rows": asdict(difference_over_rows(*sides)),
    }


def value_of(facts: Facts, metric: str) -> float:
    """Reads a score.

    Args:
        facts: What a run came to.
        metric: Name of the metric.

    Returns:
        Its value; NaN where it is undefined.
    """
    value = facts.metrics[metric]["value"]
    return math.nan if value is None else float(value)


def plain(value: Any) -> Any:
    """Writes what is undefined as null, which NaN in JSON is not.

    Args:
        value: Dictionaries and lists of numbers, texts and None.

    Returns:
        The same with None for every NaN.
    """
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return None if value != value else value
