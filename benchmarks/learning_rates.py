"""What learning rate each method wants: small grids on the recipe sentiment, by validation rows."""

import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from benchmarks.machine import provenance
from benchmarks.side_by_side import Report
from lowkey.config import load_recipe
from lowkey.experiments.config import FinetuneRecipe
from lowkey.experiments.finetune import finetune

RATES = {
    "bitfit": (3e-4, 1e-3, 3e-3),
    "lora": (1.5e-4, 5e-4, 1.5e-3),
    "full": (1.5e-5, 5e-5, 1.5e-4),
    "head": (3e-3, 1e-2, 3e-2),
}
"""The default in the middle, a third and three times of it."""


def run(*, quick: bool, passes: Sequence[str]) -> Report:
    """Fine-tunes by each method at each rate and scores on the validation rows; test stays unread.

    Args:
        quick: Whether to make twenty steps only.
        passes: Not used: one thread does it.

    Returns:
        Scores and costs by method and rate, as JSON values.
    """
    start = provenance()
    settings = ["data.test=null", "train.threads=1", "train.precision=bf16"]
    settings += ["train.max_steps=20"] if quick else []
    methods: Report = {}
    for method, rates in RATES.items():
        methods[method] = [_tuned(method, rate, settings) for rate in rates]
    return {"benchmark": "learning_rates", **start, "settings": {"quick": quick}, "runs": methods}


def _tuned(method: str, rate: float, settings: Sequence[str]) -> Report:
    config = Path(str(files("lowkey") / "recipes" / "sentiment.yaml"))
    wanted = [f"method={method}", f"train.learning_rate={rate}", "track=[]", *settings]
    with tempfile.TemporaryDirectory() as folder:
        facts = finetune(load_recipe(FinetuneRecipe, config, wanted), Path(folder) / "run")
    counts = ("trainable_parameters", "steps", "training_seconds", "validation_rows")
    return {
        "learning_rate": rate,
        "accuracy": facts.metrics["accuracy"],
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
    for method, runs in report["runs"].items():
        for each in runs:
            value, low, high = (100 * each["accuracy"][key] for key in ("value", "low", "high"))
            lines.append(
                f"  {method:<7} {each['learning_rate']:<8g} {value:.1f} % ({low:.1f} to {high:.1f})"
                f"  {each['trainable_parameters']:,} parameters, {each['training_seconds']:.0f} s"
            )
    return "\n".join(lines)
