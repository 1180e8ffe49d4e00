"""What ``lowkey demo`` yields and takes: the demo itself, in a folder of its own."""

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import provenance
from benchmarks.side_by_side import Report
from lowkey.experiments.demo import METHODS, run_demo


def run(*, quick: bool, passes: Sequence[str]) -> Report:
    """Runs the demo.

    Args:
        quick: Whether to run the quick one.
        passes: Not used: the demo runs on all cores.

    Returns:
        Scores and costs of each part, as JSON values.
    """
    budget = "quick" if quick else "full"
    start = provenance()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "demo"
        started = time.perf_counter()
        run_demo(out, budget=budget)
        seconds = time.perf_counter() - started
        names = ["pronounce", *(f"sentiment-{method}" for method in METHODS)]
        parts = {name: _facts(out / name) for name in names}
    settings = {"budget": budget}
    return {"benchmark": "demo", **start, "settings": settings, "seconds": seconds, "parts": parts}


def _facts(run: Path) -> Report:
    facts = json.loads((run / "best" / "lowkey.json").read_text(encoding="utf-8"))
    return {key: facts[key] for key in ("metrics", "counts", "environment")}


def show(report: Report) -> str:
    """Writes a report for people.

    Args:
        report: What ``run`` gave.

    Returns:
        Some lines.
    """
    lines = [f"the whole demo took {report['seconds'] / 60:.1f} minutes"]
    for name, part in report["parts"].items():
        for metric, score in part["metrics"].items():
            value, low, high = (100 * score[key] for key in ("value", "low", "high"))
            lines.append(f"  {name:<16} {metric:<18} {value:.1f} % ({low:.1f} to {high:.1f})")
    return "\n".join(lines)
