"""The verbs that look at a trained model: evaluate, report, attention, export."""

import json
from pathlib import Path
from typing import Annotated, Literal

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
    str | None,
    typer.Option(metavar="TEXT", help="The second text of a pair, or the context of a question."),
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
    Literal["peft", "merged", "marian"],
    typer.Option(
        help="peft: the adapter alone; merged: base and adapter as one model, an encoder for"
        " transformers, a translator for lowkey; marian: a whole translation model for"
        " transformers."
    ),
]
Folder = Annotated[Path, typer.Option(metavar="DIR", help="The folder to make.")]


def evaluate(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Folders of runs, or of their models; the first is the yardstick.",
        ),
    ],
    data: Data,
    baselines: Annotated[
        bool,
        typer.Option(
            "--baselines", help="Score a copy of the source and the nearest training pair too."
        ),
    ] = False,
    outputs: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A new folder for what each made of each row, as JSONL."),
    ] = None,
    base: Base = None,
    as_json: AsJson = False,
    device: Device = "auto",
    precision: Precision = "fp32",
) -> None:
    """Score a model on labelled rows, read as the run read its own; or compare several models."""
    from lowkey.cli.scores import comparison_in_words, scores_in_words
    from lowkey.experiments.evaluation import compare
    from lowkey.experiments.evaluation import evaluate as score

    if len(runs) == 1 and not baselines:
        found = score(runs[0], data, base=base, device=device, precision=precision, outputs=outputs)
    else:
        found = compare(
            runs,
            data,
            baselines=baselines,
            base=base,
            device=device,
            precision=precision,
            outputs=outputs,
        )
    in_words = scores_in_words if "metrics" in found else comparison_in_words
    print(json.dumps(found, ensure_ascii=False) if as_json else in_words(found))


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


def average(
    run: Run,
    last: Annotated[int, typer.Option(min=2, help="How many checkpoints, the newest ones.")] = 5,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder to make; RUN/average.")
    ] = None,
    base: Base = None,
) -> None:
    """Average the last checkpoints of a run into one more model."""
    from lowkey.experiments.average import average as write

    folder = out or run / "average"
    steps = write(run, last=last, out=folder, base=base)
    print(f"{folder}: the mean of {len(steps)} checkpoints, steps {steps[0]} to {steps[-1]}")
    print(f"is it better? lowkey evaluate {folder} --data ...")


def export(run: Run, format: Format, out: Folder, base: Base = None) -> None:
    """Hand a trained model on to other libraries."""
    from lowkey.experiments.export import export as write

    print(write(run, format=format, out=out, base=base))


def _refuse_ending(out: Path) -> None:
    if out.suffix.lower() not in (".html", ".png", ".svg"):
        raise ConfigError(f"{out} ends in none of .html, .png and .svg", where="--out")
