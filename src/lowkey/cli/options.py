"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, or of its model.")]
Base = Annotated[
    str | None,
    typer.Option(
        metavar="PATH", help="The base model, if it is not where it was during the training."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Device = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps.")]
Precision = Annotated[
    Literal["fp32", "bf16", "auto"],
    typer.Option(help="Numbers to compute with; auto takes bf16 where it is the faster one."),
]
