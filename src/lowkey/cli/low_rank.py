"""The verbs about the rank of what was learned: spectrum, rerank, extract."""

import json
from pathlib import Path
from typing import Annotated

import typer

from lowkey.cli.options import AsJson, Base, Device, Run

Rank = Annotated[
    int | None, typer.Option(min=1, max=1024, metavar="N", help="The new rank of every update.")
]
Keep = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Take the smallest rank that keeps this share of every update's squared norm: 0.95.",
    ),
]
Scoring = Annotated[
    bool,
    typer.Option(
        "--score/--no-score", help="Score both on the run's validation and test rows, if there."
    ),
]


def spectrum(run: Run, base: Base = None, as_json: AsJson = False) -> None:
    """Show what rank each update really uses, and how much a smaller one keeps.

    Of a full fine-tune it shows the difference between the weights and those of the base.
    """
    from lowkey.cli.spectra import spectrum_in_words
    from lowkey.experiments.spectrum import spectrum as take_apart

    found = take_apart(run, base=base)
    print(json.dumps(found, ensure_ascii=False) if as_json else spectrum_in_words(found))


def rerank(
    run: Run,
    rank: Rank = None,
    keep: Keep = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder to make; RUN/best-rank-N, beside the old."),
    ] = None,
    score: Scoring = True,
    base: Base = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Give the updates of a LoRA run a smaller rank, by SVD and without training."""
    from lowkey.cli.spectra import rerank_in_words
    from lowkey.experiments.rerank import rerank as write

    found = write(run, rank=rank, keep=keep, out=out, base=base, device=device, score=score)
    print(json.dumps(found, ensure_ascii=False) if as_json else rerank_in_words(found))


def extract(
    base: Annotated[
        str, typer.Argument(metavar="BASE", help="The model that the training began with.")
    ],
    tuned: Annotated[
        Path, typer.Argument(metavar="TUNED", help="The full fine-tune: a run, or a model folder.")
    ],
    rank: Annotated[int, typer.Option(min=1, max=1024, metavar="N", help="Rank of the updates.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to make.")],
    targets: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="all-linear, attention, feed-forward, qv; or names of linear maps: query,value.",
        ),
    ] = "all-linear",
    score: Scoring = True,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Make an adapter of a full fine-tune: the best low-rank part of what it changed."""
    from lowkey.cli.spectra import extract_in_words
    from lowkey.experiments.extract import extract as write

    names = targets.split(",") if "," in targets else targets
    found = write(base, tuned, rank=rank, out=out, targets=names, device=device, score=score)
    print(json.dumps(found, ensure_ascii=False) if as_json else extract_in_words(found))
