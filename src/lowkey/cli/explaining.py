"""``lowkey explain``: what the program does by itself, and why."""

import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from lowkey.cli.training import RecipeFile, Settings


def explain(
    topic: Annotated[
        Literal["defaults"], typer.Argument(help="What to explain; there are defaults.")
    ],
    config: RecipeFile = None,
    settings: Settings = None,
) -> None:
    """Say which values lowkey finetune takes by itself, and why.

    With a recipe: what holds for it, and which values are yours.
    """
    assert topic == "defaults", "the only one that the command line lets through"
    if config is None and settings:
        raise typer.BadParameter("give the recipe too", param_hint="--config")
    rows = _general() if config is None else _of_recipe(config, settings or [])
    headings = ("key", "value", "holds for" if config is None else "set by")
    print(_table(headings, rows, max(40, min(100, shutil.get_terminal_size().columns))))
    print("They hold whatever the size of the encoder and of the data.")


def _general() -> list[tuple[str, str, str, str]]:
    """Lists every default: key, value, what it holds for and why."""
    from lowkey.experiments.defaults import DEFAULTS

    return [(d.key, _text(d.value), ", ".join(d.methods) or "all", _reason(d)) for d in DEFAULTS]


def _of_recipe(config: Path, settings: list[str]) -> list[tuple[str, str, str, str]]:
    """Lists what holds for a recipe: key, value, who set it and why."""
    from lowkey.cli.early import load_recipe_of
    from lowkey.config.recipe import given_values
    from lowkey.experiments.config import FinetuneRecipe
    from lowkey.experiments.defaults import defaults_for, flat_keys

    recipe = load_recipe_of(FinetuneRecipe, config, settings)
    given = set(flat_keys(given_values(config, settings)))
    values = recipe.model_dump()
    rows = []
    for default in defaults_for(recipe.method).values():
        section, _, name = default.key.partition(".")
        value, why, who = values[section][name], _reason(default), "lowkey"
        if default.key in given:
            who, why = "you", f"without it {_text(default.value)}: {why}"
        elif default.unless in given:
            who, why = "you", f"{default.unless} takes its place"
        rows.append((default.key, _text(value), who, why))
    return rows


def _reason(default: Any) -> str:
    return f"{default.why} ({default.source})"


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "-" if value is None else str(value)


def _table(headings: Sequence[str], rows: Sequence[tuple[str, str, str, str]], width: int) -> str:
    """Sets rows in columns, the reason of each below it."""
    widths = [max(len(row[i]) for row in [headings, *rows]) for i in range(3)]
    lines = [_columns(headings, widths)]
    for *cells, why in rows:
        indent = "    "
        wrapped = textwrap.wrap(
            why, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
        )
        lines += [_columns(cells, widths), *wrapped]
    return "\n".join(lines)


def _columns(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (f"{cell:{size}}" for cell, size in zip(cells, widths, strict=True))
    return "  ".join(padded).rstrip()
