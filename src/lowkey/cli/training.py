"""``lowkey train`` and ``lowkey finetune``: from a recipe to a run."""

from pathlib import Path
from typing import Annotated

import typer

RecipeFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The recipe; lowkey init writes one."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Overrides a key, as train.seed=7; may be repeated."
    ),
]
Out = Annotated[
    Path | None, typer.Option(metavar="RUN", help="Folder of the run; runs/NAME OF THE RECIPE.")
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume", help="Go on with a run that was stopped; with --out alone if you like."
    ),
]


def train(
    config: RecipeFile = None, settings: Settings = None, out: Out = None, resume: Resume = False
) -> None:
    """Train a Transformer from scratch on pairs of texts."""
    from lowkey.cli.early import open_recipe
    from lowkey.experiments.config import TranslationRecipe

    run = _folder(config, out, resume)
    recipe = open_recipe(TranslationRecipe, config, settings or [], run, resume=resume)
    from lowkey.experiments.translation import train as begin

    begin(recipe, run, resume=resume)
    _say_what_next(run)


def finetune(
    config: RecipeFile = None, settings: Settings = None, out: Out = None, resume: Resume = False
) -> None:
    """Adapt a pretrained encoder to your labelled texts."""
    from lowkey.cli.early import open_recipe
    from lowkey.experiments.config import FinetuneRecipe

    run = _folder(config, out, resume)
    recipe = open_recipe(FinetuneRecipe, config, settings or [], run, resume=resume)
    from lowkey.experiments.finetune import finetune as begin

    begin(recipe, run, resume=resume)
    _say_what_next(run)


def _folder(config: Path | None, out: Path | None, resume: bool) -> Path:
    """Chooses the folder of the run: the one asked for, else one named after the recipe."""
    if config is None and (out is None or not resume):
        raise typer.BadParameter("give a recipe, or --resume and --out", param_hint="--config")
    return out or Path("runs") / (config or Path()).stem


def _say_what_next(run: Path) -> None:
    print(f'try: lowkey predict {run} "..."')
