"""The program: its verbs, and the one place where errors become messages and exit codes."""

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

import lowkey
from lowkey.cli import comparing, explaining, low_rank, prediction, results, starting, training
from lowkey.cli.failures import report_failure, show_warning

_HELP = """Train a Transformer you can read; adapt BERT and know what it cost.

Begin with [bold]lowkey demo[/], or with your own data:

    lowkey init classify
    lowkey finetune --config classify.yaml
    lowkey predict runs/classify "What a film!"
"""

app = typer.Typer(
    help=_HELP,
    rich_markup_mode="rich",
    add_completion=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)
# Each verb with examples of its use; the tests parse every one of them.
VERBS: dict[str, dict[Callable[..., None], list[str]]] = {
    "Begin": {
        starting.demo: ["lowkey demo", "lowkey demo --budget quick --track wandb"],
        starting.init: ["lowkey init classify", "lowkey init translate --out de-en.yaml"],
        starting.convert: ["lowkey convert downloads/opus-mt-de-en models/opus-mt-de-en"],
        explaining.explain: [
            "lowkey explain defaults",
            "lowkey explain defaults --config classify.yaml",
        ],
        starting.env: [],
    },
    "Train": {
        training.train: [
            "lowkey train --config translate.yaml",
            "lowkey train --config translate.yaml --set train.seed=7 --out runs/seed-7",
            "lowkey train --resume --out runs/seed-7",
        ],
        training.finetune: [
            "lowkey finetune --config classify.yaml",
            "lowkey finetune --config classify.yaml --set method=full --out runs/full",
            "lowkey finetune --resume --out runs/full",
        ],
        comparing.compare: [
            "lowkey compare --config compare.yaml",
            "lowkey compare --config compare.yaml --set 'compare.seeds=[1, 2]' --jobs 2",
        ],
    },
    "Use": {
        prediction.predict: [
            'lowkey predict runs/classify "What a film!" "Dull."',
            "lowkey predict runs/translate --file sources.txt > targets.txt",
            'lowkey predict runs/translate --num-beams 8 --nbest 3 --scores "Guten Morgen."',
            "cat reviews.jsonl | lowkey predict runs/classify --file - --json",
            'lowkey predict runs/topics --also runs/moods "What a film!"',
        ],
        results.evaluate: [
            "lowkey evaluate runs/classify --data test.jsonl",
            "lowkey evaluate runs/translate runs/seed-7 --data test.jsonl --outputs looked-at",
            "lowkey evaluate runs/translate --data test.jsonl --baselines",
        ],
        results.average: ["lowkey average runs/translate --last 5"],
        results.report: ["lowkey report runs/classify"],
        results.attention: [
            'lowkey attention runs/demo/pronounce "t h o u g h t" --out thought.html',
            'lowkey attention runs/reverse "abcdef" --kind cross --layer 2 --out cross.svg',
        ],
        results.export: [
            "lowkey export runs/classify --format peft --out adapter",
            "lowkey export runs/classify --format merged --out model",
        ],
        low_rank.spectrum: ["lowkey spectrum runs/classify", "lowkey spectrum runs/full --json"],
        low_rank.rerank: [
            "lowkey rerank runs/classify --rank 4",
            "lowkey rerank runs/classify --keep 0.95 --out smaller",
        ],
        low_rank.extract: [
            "lowkey extract models/bert runs/full --rank 16 --out adapter",
            "lowkey extract models/bert models/tuned --rank 8 --targets query,value --out adapter",
        ],
    },
}
for _panel, _verbs in VERBS.items():
    for _verb, _examples in _verbs.items():
        app.command(rich_help_panel=_panel, epilog="\n\n".join(_examples) or None)(_verb)


def _show_version(wanted: bool) -> bool:
    if wanted:
        print(f"lowkey {lowkey.__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Say which version this is."
        ),
    ] = False,
) -> None:
    """Declares the options of the program itself; its help text is that of the app."""


def _let_threads_sleep() -> None:
    """Lets torch's threads sleep while they wait for each other, unless the user says otherwise.

    By default they spin. On a core that another program wants too, a spinning thread keeps the
    one it waits for from running, and both wait.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "0")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: The words after ``lowkey``; those of this process if None.

    Returns:
        The exit code: 0, or that of the error, which has been told in one to three lines.
    """
    _let_threads_sleep()
    words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    command = typer.main.get_command(app)
    with warnings.catch_warnings():
        warnings.showwarning = show_warning
        try:
            with command.make_context("lowkey", words) as context:
                command.invoke(context)
            sys.stdout.flush()  # a pipe that broke is met here, not when the interpreter ends
        except typer.Exit as end:
            return end.exit_code
        except BaseException as error:  # whatever it is, the user gets a line and no traceback
            return report_failure(error)
    return 0
