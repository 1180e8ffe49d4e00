"""``lowkey compare``: methods against each other, on your task."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from lowkey.cli.options import AsJson
from lowkey.cli.training import Settings

Recipe = Annotated[
    Path,
    typer.Option(
        "--config",
        metavar="FILE",
        help="A recipe of lowkey finetune, with a section compare if you like.",
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Folder of its runs; runs/compare-NAME."),
]
Jobs = Annotated[
    int,
    typer.Option(min=1, metavar="N", help="Trainings at a time; set train.threads to go with it."),
]


def compare(
    config: Recipe,
    settings: Settings = None,
    out: Folder = None,
    jobs: Jobs = 1,
    as_json: AsJson = False,
) -> None:
    """Compare LoRA, full fine-tuning and others: same data, seeds and trials, one verdict."""
    from lowkey.cli.early import load_recipe_of, refuse_what_is_not_there
    from lowkey.config.recipe import given_values
    from lowkey.experiments.compare_config import CompareRecipe

    recipe = load_recipe_of(CompareRecipe, config, settings or [])
    refuse_what_is_not_there(recipe)
    from lowkey.experiments.comparison import Comparison

    given = given_values(config, settings or [])
    comparison = Comparison(recipe, given, out or Path("runs") / f"compare-{config.stem}")
    result = comparison.run(jobs=jobs, say=lambda line: typer.echo(line, err=True))
    print(json.dumps(result, ensure_ascii=False) if as_json else comparison_of_methods(result))


def comparison_of_methods(result: Mapping[str, Any]) -> str:
    """Writes a comparison for people.

    Args:
        result: What :class:`lowkey.experiments.comparison.Comparison` found.

    Returns:
        A table of what each contender reached and cost, and the verdicts.
    """
    rows: list[tuple[str, ...]] = [
        ("", result["metric"], "95 % interval", "rate", "parameters", "seconds", "MiB", "disk")
    ]
    for name, one in result["contenders"].items():
        score, costs = one["metrics"][result["metric"]], one["costs"]
        interval = "" if score["low"] is None else f"{score['low']:.4f} to {score['high']:.4f}"
        rows.append(
            (
                name,
                "undefined" if score["value"] is None else f"{score['value']:.4f}",
                interval,
                f"{one['learning_rate']:g}",
                f"{costs['trainable_parameters']:,.0f}",
                f"{costs['training_seconds']:.0f}",
                f"{costs['peak_memory_mib']:,.0f}",
                f"{costs['disk_bytes'] / 1e6:.1f} MB",
            )
        )
    n = len(result["seeds"])
    seeds = f"means over {n} seeds" if n > 1 else "one seed"
    about = f"{seeds}, on {result['rows']:,} test rows; seconds, MiB and disk are medians"
    return "\n".join([*_aligned(rows), about, "", *result["verdicts"]])


def _aligned(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *rest in rows:
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        yield "  ".join(cells).rstrip()
