"""The verbs that look at a trained model: evaluate, report, attention, export."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from lowkey.cli.options import AsJson, Base, Device, Precision, Run
from lowkey.errors import ConfigError

Data = Annotated[
    str, typer.Option(metavar="SOURCE", help="Labelled rows: a file, folder or Hub name.")
]
Picture = Annotated[
    Path,
    typer.Option(metavar="FILE", help="Where to write; .html is a page, .png or .svg a picture."),
]
Pair = Annotated[
    str | None, typer.Option(metavar="TEXT", help="The second text, for a model of pairs.")
]
Target = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="What a Transformer is to write, instead of its own output."),
]
Kind = Annotated[
    Literal["encoder", "decoder", "cross"] | None,
    typer.Option(help="Show one kind of attention only; cross: from the decoder to the encoder."),
]
Layer = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Show one layer only, counted from 1.")
]
Head = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Show one head only, counted from 1.")
]
Format = Annotated[
    Literal["peft", "merged"],
    typer.Option(help="peft: the adapter alone; merged: a whole model for transformers."),
]
Folder = Annotated[Path, typer.Option(metavar="DIR", help="The folder to make.")]


def evaluate(
    run: Run,
    data: Data,
    base: Base = None,
    as_json: AsJson = False,
    device: Device = "auto",
    precision: Precision = "fp32",
) -> None:
    """Score a model on labelled rows, read as the run read its own."""
    from lowkey.experiments.evaluation import evaluate as score

    scores = score(run, data, base=base, device=device, precision=precision)
    print(json.dumps(scores, ensure_ascii=False) if as_json else _in_words(scores))


def report(run: Run) -> None:
    """Write the report of a run again, and say where it is."""
    from lowkey.reports.page import write_report
    from lowkey.reports.run_report import run_report
    from lowkey.run_folder import RunFolder

    folder = RunFolder(run)
    if not folder.exists():
        folder = RunFolder.open(run)  # which says what it is instead
    write_report(run_report(folder), folder.report_file)
    print(folder.report_file)


def attention(
    run: Run,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the model is to read.")],
    out: Picture,
    pair: Pair = None,
    target: Target = None,
    kind: Kind = None,
    layer: Layer = None,
    head: Head = None,
    base: Base = None,
) -> None:
    """Show where every head of a model looks."""
    _refuse_ending(out)
    from lowkey.experiments.attention import attention_of, choose, write_attention
    from lowkey.pipelines.load import load

    maps = attention_of(load(run, base=base, device="cpu"), text, pair, target=target)
    chosen = choose(maps, kind=kind, layer=layer, head=head)
    write_attention(chosen, text, out, target=target)
    print(out)


def export(run: Run, format: Format, out: Folder, base: Base = None) -> None:
    """Hand a fine-tuned model on to other libraries."""
    from lowkey.experiments.export import export as write

    print(write(run, format=format, out=out, base=base))


def _refuse_ending(out: Path) -> None:
    if out.suffix.lower() not in (".html", ".png", ".svg"):
        raise ConfigError(f"{out} ends in none of .html, .png and .svg", where="--out")


def _in_words(scores: Mapping[str, Any]) -> str:
    """Writes one line for each metric; one that these rows leave undefined is told as such."""
    lines = []
    for name, metric in scores["metrics"].items():
        value, low, high = (metric[key] for key in ("value", "low", "high"))
        interval = "" if low is None else f" (95 % interval {low:.4f} to {high:.4f})"
        lines.append(f"{name} " + ("undefined" if value is None else f"{value:.4f}{interval}"))
    return "\n".join([*lines, f"on {scores['rows']} rows"])
