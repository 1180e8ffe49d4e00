"""Runs a benchmark: ``python -m benchmarks lora_step``."""

import argparse
import importlib
from functools import partial
from pathlib import Path

from benchmarks.side_by_side import write_report

SETS = ("sentiment", "ratings_movie", "pairs_movie", "tag_pos_pt", "topics")
NAMES = (
    "lora_step",
    "translation_step",
    "attention_kernels",
    "adapter_bank",
    "loading_stall",
    "data_memory",
    "demo",
    "learning_rates",
    "toy_tasks",
    "pronounce",
    "translate",
    *(f"compare-{part}" for part in SETS),
)


def main(arguments: list[str] | None = None) -> None:
    """Measures, shows the table and, if asked, writes the result file.

    Args:
        arguments: The command line; that of the process if None.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--quick", action="store_true", help="few steps: a look, not a result")
    parser.add_argument("--budget", choices=("full", "quick"), help="quick: the same as --quick")
    parser.add_argument("--one-core", action="store_true", help="leave out the pass on all cores")
    parser.add_argument("--out", type=Path, help="where to write the figures as JSON")
    options = parser.parse_args(arguments)
    name, _, part = options.name.partition("-")
    module = importlib.import_module(f"benchmarks.{name}")
    passes = ("one core",) if options.one_core else ("one core", "all cores")
    quick = options.quick or options.budget == "quick"
    run = partial(module.run, part) if part else module.run
    report = run(quick=quick, passes=passes)
    print(module.show(report))
    if options.out:
        write_report(report, options.out)


if __name__ == "__main__":
    main()
