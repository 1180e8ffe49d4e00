"""``lowkey predict``: texts in, one answer a line out."""

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lowkey.cli.options import AsJson, Base, Device, Precision, Run
from lowkey.cli.several import Also, answers_of_several
from lowkey.cli.wishes import (
    DecodeSettings,
    LengthPenalty,
    LongTexts,
    MaxLength,
    Nbest,
    NumBeams,
    Prefix,
    Sample,
    Scores,
    Seed,
    Temperature,
    TopK,
    TopP,
    Wishes,
)
from lowkey.errors import DataError, escaped

if TYPE_CHECKING:
    from lowkey.cli.texts import Input
    from lowkey.pipelines.decoding import Decoding

Texts = Annotated[list[str] | None, typer.Argument(metavar="TEXT", help="What to predict.")]
File = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="One text a line, or .jsonl with the input columns; - reads standard input.",
    ),
]

# Enough to sort by length, few enough that the first come soon.
_TRANSLATIONS = 512


def predict(
    run: Run,
    texts: Texts = None,
    file: File = None,
    also: Also = None,
    as_json: AsJson = False,
    base: Base = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    num_beams: NumBeams = None,
    nbest: Nbest = None,
    scores: Scores = False,
    prefix: Prefix = None,
    long: LongTexts = None,
    max_length: MaxLength = None,
    length_penalty: LengthPenalty = None,
    sample: Sample = False,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    seed: Seed = None,
    settings: DecodeSettings = None,
) -> None:
    """Label texts, tag their words, fill their masks, or translate them, in their order."""
    _refuse_both_or_neither(texts, file)
    changes = {"num_beams": num_beams, "max_length": max_length, "length_penalty": length_penalty}
    changes |= {"sample": sample or None, "temperature": temperature, "seed": seed}
    changes |= {"top_k": top_k, "top_p": top_p}
    wishes = Wishes(nbest, scores, prefix, long, changes, settings or [])
    from lowkey.cli.texts import Input, portions
    from lowkey.pipelines.published import read_facts
    from lowkey.run_folder import resolve_bundle

    facts = read_facts(resolve_bundle(run))
    translates = facts.kind == "translation"
    decoding = None
    if translates:
        decoding = wishes.decoding(facts)
    else:
        wishes.refuse_for(facts.kind)
    column = {"translation": "source", "tagging": "tokens"}.get(facts.kind, "text")
    inputs = map(Input, texts) if texts else _inputs_of(str(file), column)
    inputs = portions(inputs, _portion(file, translates))
    opening = {"base": base, "device": device, "precision": precision}
    if also:
        found = answers_of_several([run, *also], inputs, **opening)
    else:
        found = _answers(run, inputs, wishes, decoding, opening)
    for answers in found:
        for answer in answers:
            print(json.dumps(answer, ensure_ascii=False) if as_json else _in_words(answer))
        sys.stdout.flush()


def _portion(file: str | None, translates: bool) -> int | None:
    """Says how many texts to take at a time: one from somebody who types them."""
    if file == "-" and sys.stdin.isatty():
        return 1
    return _TRANSLATIONS if translates else None


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


def _answers(
    run: Path,
    inputs: "Iterator[list[Input]]",
    wishes: Wishes,
    decoding: "Decoding | None",
    settings: dict[str, Any],
) -> Iterator[list[dict[str, Any]]]:
    """Predicts portion by portion."""
    first = next(inputs, None)  # what is wrong with it is told before torch is imported
    if first is None:
        return iter(())
    inputs = chain([first], inputs)
    from lowkey.cli.counter import Counter
    from lowkey.cli.tagging import tagged
    from lowkey.pipelines.load import load
    from lowkey.pipelines.tagger import Tagger
    from lowkey.pipelines.translator import Translator

    model = load(run, **settings)
    if isinstance(model, Tagger):
        return tagged(model, inputs)
    if isinstance(model, Translator):
        return wishes.answers(model, inputs, decoding or model.decoding, Counter())
    return (
        model.predict([one.text for one in portion], _second_texts(portion)) for portion in inputs
    )


def _second_texts(portion: "Sequence[Input]") -> list[str] | None:
    """Collects the second texts; either all inputs have one or none has."""
    pairs = [one.pair for one in portion if one.pair is not None]
    if pairs and len(pairs) < len(portion):
        raise DataError(
            'some inputs have a "text_pair" and some have none', fix="give all of them one"
        )
    return pairs or None


def _in_words(answer: dict[str, Any]) -> str:
    """Writes an answer for people: a label with its probability, a number, tags, or texts."""
    if "adapter" in answer:
        name, rest = answer["adapter"], {k: v for k, v in answer.items() if k != "adapter"}
        return f"{escaped(name)}\t{_in_words(rest)}"
    if "tags" in answer:
        from lowkey.pipelines.sentences import tags_in_words

        return escaped(tags_in_words(answer["tokens"], answer["tags"]))
    if "label" in answer:
        return f"{escaped(answer['label'])}  {answer['scores'][answer['label']]:.3f}"
    if "labels" in answer:
        named = (f"{escaped(name)} {answer['scores'][name]:.3f}" for name in answer["labels"])
        return ", ".join(named) or "(none)"
    if "text" not in answer:
        return f"{answer['score']:.4g}"
    return "\n".join(
        (f"{one['score']:.4f}\t" if "score" in one else "") + escaped(one["text"])
        for one in answer.get("nbest", [answer])
    )
