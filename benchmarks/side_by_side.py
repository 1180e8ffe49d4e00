"""The harness: all sides in one process, by turns, on the same texts, compared pair by pair.

Speed varies from minute to minute on a shared machine. So every repeat runs all sides one after
the other, in an order that rotates, and a ratio is taken within one repeat; the median over the
repeats is what counts. Each repeat has texts of its own, as training does: what a side has to
prepare for shapes it has not met before is part of its cost.
"""

import gc
import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.ceiling import Product, ceiling, process_clock, products_flop, wall_clock
from benchmarks.clock import Cost
from benchmarks.machine import cores, provenance

Report = dict[str, Any]


@dataclass(frozen=True)
class Window:
    """The steps of one repeat.

    Attributes:
        batches: The examples of each step; the first one warms up and is not counted.
        samples: Examples in the steps that count.
        tokens: Real tokens in them.
    """

    batches: Sequence[Sequence[int]]
    samples: int
    tokens: int

    @property
    def steps(self) -> int:
        """How many steps count."""
        return len(self.batches) - 1


@dataclass(frozen=True)
class Side:
    """One way of doing the work.

    Attributes:
        name: What tables call it.
        precision: In what numbers it computes.
        what: A line that says how it does it.
        windows: Which plan of batches it runs.
        run: Runs a window and says what it cost.
    """

    name: str
    precision: str
    what: str
    windows: str
    run: Callable[[Window], Cost]


@dataclass(frozen=True)
class Claim:
    """A ratio to be reached: the rival's cost over ours, on the same batches.

    Attributes:
        ours: Name of our side.
        rival: Name of the other.
        goal: The least ratio; None for a row that informs.
    """

    ours: str
    rival: str
    goal: float | None = None


@dataclass(frozen=True)
class Benchmark:
    """All that is measured in one run.

    Attributes:
        name: Name of the benchmark and of its result file.
        settings: What was compared, for the reader.
        sides: The ways, the ones to compare side by side.
        claims: The ratios.
        windows: For each plan of batches, one window per repeat.
        products: The linear maps of the model, for the ceiling.
    """

    name: str
    settings: Report
    sides: Sequence[Side]
    claims: Sequence[Claim]
    windows: dict[str, Sequence[Window]]
    products: Sequence[Product]


def measure(benchmark: Benchmark, *, passes: Sequence[str] = ("one core", "all cores")) -> Report:
    """Runs a benchmark.

    Args:
        benchmark: What to run.
        passes: ``one core`` counts CPU seconds on one thread, the steady figure; ``all cores``
            counts seconds on the wall.

    Returns:
        Everything that was measured, as JSON values.
    """
    for claim in benchmark.claims:
        plans = {side.windows for side in benchmark.sides if side.name in (claim.ours, claim.rival)}
        if len(plans) != 1:
            raise ValueError(f"{claim.ours} and {claim.rival} do not run the same batches")
    report: Report = {"benchmark": benchmark.name, **provenance(), "settings": benchmark.settings}
    report["sides"] = {
        side.name: {"precision": side.precision, "what": side.what, "batches": side.windows}
        for side in benchmark.sides
    }
    threads_before = torch.get_num_threads()
    try:
        report["passes"] = {name: _pass(benchmark, name) for name in passes}
    finally:
        torch.set_num_threads(threads_before)
    return report


def _pass(benchmark: Benchmark, name: str) -> Report:
    """Runs all repeats with one number of threads and one clock."""
    threads, clock, field = (1, process_clock, "cpu")
    if name == "all cores":
        threads, clock, field = (cores(), wall_clock, "wall")
    torch.set_num_threads(threads)
    plans = benchmark.windows
    repeats = min(map(len, plans.values()))
    any_window = next(iter(plans.values()))[0]
    tokens = any_window.tokens // any_window.steps
    costs: dict[str, list[Cost]] = {side.name: [] for side in benchmark.sides}
    ceilings: dict[str, list[float]] = {"bf16": [], "fp32": []}
    for repeat in range(repeats):
        # Between the repeats, so that the ceiling sees the same disturbances as the sides.
        for precision, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
            ceilings[precision].append(ceiling(benchmark.products, tokens, dtype, clock))
        turn = repeat % len(benchmark.sides)
        for side in [*benchmark.sides[turn:], *benchmark.sides[:turn]]:
            gc.collect()
            costs[side.name].append(side.run(plans[side.windows][repeat]))
    peak = {precision: statistics.median(values) for precision, values in ceilings.items()}
    seconds = {side: [getattr(cost, field) for cost in values] for side, values in costs.items()}
    return {
        "threads": threads,
        "seconds_are": "CPU seconds of the process" if field == "cpu" else "seconds on the wall",
        "ceiling_gflops": {precision: round(value / 1e9, 1) for precision, value in peak.items()},
        "sides": {
            side.name: _speed(side, costs[side.name], seconds[side.name], benchmark, peak)
            for side in benchmark.sides
        },
        "ratios": [_ratio(claim, seconds) for claim in benchmark.claims],
    }


def _speed(
    side: Side,
    costs: Sequence[Cost],
    seconds: Sequence[float],
    benchmark: Benchmark,
    peak: dict[str, float],
) -> Report:
    """Turns the costs of one side into speeds, medians over the repeats."""
    windows = list(benchmark.windows[side.windows])[: len(seconds)]
    pairs = list(zip(windows, seconds, strict=True))
    flops = statistics.median(products_flop(benchmark.products, w.tokens) / s for w, s in pairs)
    precision = "bf16" if "bf16" in side.precision else "fp32"
    return {
        "samples_per_second": round(statistics.median(w.samples / s for w, s in pairs), 2),
        "useful_tokens_per_second": round(statistics.median(w.tokens / s for w, s in pairs), 1),
        "seconds_per_step": round(statistics.median(s / w.steps for w, s in pairs), 4),
        "share_of_ceiling": round(flops / peak[precision], 3),
        "repeats": [{key: round(v, 4) for key, v in asdict(cost).items()} for cost in costs],
    }


def _ratio(claim: Claim, seconds: dict[str, list[float]]) -> Report:
    """Compares two sides repeat by repeat."""
    pairs = zip(seconds[claim.ours], seconds[claim.rival], strict=True)
    ratios = [theirs / ours for ours, theirs in pairs]
    return {
        "ours": claim.ours,
        "rival": claim.rival,
        "goal": claim.goal,
        "ratio": round(statistics.median(ratios), 3),
        "repeats": [round(ratio, 3) for ratio in ratios],
    }


def write_report(report: Report, path: Path) -> None:
    """Writes a result file.

    Args:
        report: What ``measure`` gave.
        path: The file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def table(report: Report) -> str:
    """Writes a report for people.

    Args:
        report: What ``measure`` gave.

    Returns:
        Some lines.
    """
    machine = report["machine"]
    lines = [f"{report['benchmark']} on {machine['processor']}, {machine['cores']} cores"]
    for name, part in report["passes"].items():
        peaks = ", ".join(f"{v:.0f} GFLOP/s {k}" for k, v in part["ceiling_gflops"].items())
        lines += ["", f"{name}: {part['seconds_are']}; matrix products alone reach {peaks}"]
        lines.append(f"  {'side':<34}{'precision':<14}{'samples/s':>10}{'tokens/s':>10}{'peak':>7}")
        for side, speed in part["sides"].items():
            lines.append(
                f"  {side:<34}{report['sides'][side]['precision']:<14}"
                f"{speed['samples_per_second']:>10.1f}{speed['useful_tokens_per_second']:>10.0f}"
                f"{speed['share_of_ceiling']:>7.0%}"
            )
        for ratio in part["ratios"]:
            low, high = min(ratio["repeats"]), max(ratio["repeats"])
            goal = f", goal {ratio['goal']}" if ratio["goal"] else ""
            lines.append(
                f"  {ratio['ours']} is {ratio['ratio']:.2f} times as fast as {ratio['rival']}"
                f" ({low:.2f} to {high:.2f}{goal})"
            )
    return "\n".join(lines)
