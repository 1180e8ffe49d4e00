"""Scores a trained model on more data."""

from pathlib import Path
from typing import Any

from lowkey.data.config import DataConfig
from lowkey.data.sources import read_rows
from lowkey.files import read_yaml
from lowkey.pipelines.bundle import as_metrics
from lowkey.pipelines.load import load
from lowkey.pipelines.translator import Translator
from lowkey.run_folder import resolve_bundle


def evaluate(
    run: Path,
    data: str,
    *,
    base: str | None = None,
    device: str = "auto",
    precision: str = "fp32",
) -> dict[str, Any]:
    """Scores the model of a run; the data is read as the run read its own.

    Args:
        run: The run folder, or a bundle.
        data: A file, folder or Hub name with labelled rows, as in ``data.test``.
        base: Where the base model is, if not where it was in training.
        device: Where to compute.
        precision: "fp32" (the reference), "bf16" or "auto".

    Returns:
        ``rows`` and ``metrics``: each score with value, low, high and n.

    Raises:
        LowkeyError: If the model or the data is not usable.
    """
    pipeline = load(run, base=base, device=device, precision=precision)
    config = _reading_of(resolve_bundle(run).parent / "config.yaml")
    required = ("source", "target") if isinstance(pipeline, Translator) else ("text", "label")
    rows = read_rows(data, config, required, key="--data")
    if isinstance(pipeline, Translator):
        scores, _ = pipeline.score(rows)
    else:
        scores = pipeline.score(pipeline.examples(rows))
    return {"rows": len(rows), "metrics": as_metrics(scores)}


def _reading_of(recipe: Path) -> DataConfig:
    """Takes from a run's recipe how files are read: columns, encoding and the like."""
    if not recipe.exists():
        return DataConfig()
    data = DataConfig.model_validate(read_yaml(recipe).data.get("data", {}))
    return data.model_copy(update={"format": "auto", "limit": None})
