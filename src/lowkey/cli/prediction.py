"""``lowkey predict``: texts in, one answer a line out."""

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lowkey.cli.options import AsJson, Base, Device, Precision, Run
from lowkey.errors import DataError, escaped

if TYPE_CHECKING:
    from lowkey.cli.texts import Input
    from lowkey.pipelines.classifier import TextClassifier
    from lowkey.pipelines.translator import Translator

Texts = Annotated[list[str] | None, typer.Argument(metavar="TEXT", help="What to predict.")]
File = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="One text a line, or .jsonl with the input columns; - reads standard input.",
    ),
]


def predict(
    run: Run,
    texts: Texts = None,
    file: File = None,
    as_json: AsJson = False,
    base: Base = None,
    device: Device = "auto",
    precision: Precision = "fp32",
) -> None:
    """Label texts, or translate them, in their order."""
    _refuse_both_or_neither(texts, file)
    from lowkey.cli.texts import Input, portions
    from lowkey.pipelines.published import read_facts
    from lowkey.run_folder import resolve_bundle

    kind = read_facts(resolve_bundle(run)).kind
    column = "source" if kind == "translation" else "text"
    inputs = portions(map(Input, texts) if texts else _inputs_of(str(file), column))
    first = next(inputs, None)  # what is wrong with it is told before torch is imported
    if first is None:
        return
    from lowkey.pipelines.load import load

    model = load(run, base=base, device=device, precision=precision)
    for portion in chain([first], inputs):
        for answer in _answers(model, portion):
            print(json.dumps(answer, ensure_ascii=False) if as_json else _in_words(answer))
        sys.stdout.flush()


def _refuse_both_or_neither(texts: list[str] | None, file: str | None) -> None:
    if bool(texts) == bool(file):
        problem = "give texts or a file, not both" if file else "give texts, or --file FILE"
        raise typer.BadParameter(problem, param_hint="TEXT")


def _inputs_of(name: str, column: str) -> "Iterator[Input]":
    """Reads inputs from a file, or from standard input."""
    from lowkey.cli.texts import read_inputs
    from lowkey.files import open_regular

    if name == "-":
        source = "standard input"
        yield from read_inputs(sys.stdin.buffer.readline, source, column=column, json_lines=None)
        return
    with open_regular(Path(name).expanduser()) as file:
        is_jsonl = name.lower().endswith(".jsonl")
        yield from read_inputs(file.readline, name, column=column, json_lines=is_jsonl)


def _answers(model: "TextClassifier | Translator", portion: "Sequence[Input]") -> list[Any]:
    from lowkey.pipelines.classifier import TextClassifier

    texts = [one.text for one in portion]
    if isinstance(model, TextClassifier):
        return model.predict(texts, _second_texts(portion))
    return model.predict(texts)


def _second_texts(portion: "Sequence[Input]") -> list[str] | None:
    """Collects the second texts; either all inputs have one or none has."""
    pairs = [one.pair for one in portion if one.pair is not None]
    if pairs and len(pairs) < len(portion):
        raise DataError(
            'some inputs have a "text_pair" and some have none', fix="give all of them one"
        )
    return pairs or None


def _in_words(answer: dict[str, Any]) -> str:
    """Writes an answer for people: a label with its probability, a number, or a text."""
    if "label" in answer:
        return f"{escaped(answer['label'])}  {answer['scores'][answer['label']]:.3f}"
    return f"{answer['score']:.4g}" if "score" in answer else escaped(answer["text"])
