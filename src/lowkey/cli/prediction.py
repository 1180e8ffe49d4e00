"""``lowkey predict``: texts in, one answer a line out."""

import json
import sys
from collections.abc import Iterator
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
from lowkey.errors import escaped

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

# What the texts of each kind are called in JSONL; others are called text.
_COLUMNS = {"translation": "source", "tagging": "tokens", "answering": "question"}
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
    """Label texts, tag words, answer questions, fill masks or translate, in their order."""
    _refuse_both_or_neither(texts, file)
    changes = {"num_beams": num_beams, "max_length": max_length, "length_penalty": length_penalty}
    changes |= {"sample": sample or None, "temperature": temperature, "seed": seed}
    changes |= {"top_k": top_k, "top_p": top_p}
    wishes = Wishes(nbest, scores, prefix, long, changes, settings or [])
    from lowkey.cli.answering import paired
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
    column = _COLUMNS.get(facts.kind, "text")
    given = paired(texts) if texts and column == "question" else map(Input, texts or [])
    inputs = given if texts else _inputs_of(str(file), column)
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
    from lowkey.cli.answering import answered
    from lowkey.cli.counter import Counter
    from lowkey.cli.labelling import filled, labelled
    from lowkey.cli.tagging import tagged
    from lowkey.pipelines.answerer import Answerer
    from lowkey.pipelines.load import load
    from lowkey.pipelines.mask_filler import MaskFiller
    from lowkey.pipelines.tagger import Tagger
    from lowkey.pipelines.translator import Translator

    model = load(run, **settings)
    if isinstance(model, Answerer):
        return answered(model, inputs)
    if isinstance(model, Tagger):
        return tagged(model, inputs)
    if isinstance(model, Translator):
        return wishes.answers(model, inputs, decoding or model.decoding, Counter())
    if isinstance(model, MaskFiller):
        return filled(model, inputs)
    return labelled(model, inputs)


def _in_words(answer: dict[str, Any]) -> str:
    """Writes an answer for people: label or answer with its probability, number, tags, texts."""
    if "adapter" in answer:
        name, rest = answer["adapter"], {k: v for k, v in answer.items() if k != "adapter"}
        return f"{escaped(name)}\t{_in_words(rest)}"
    if "tags" in answer:
        from lowkey.pipelines.sentences import tags_in_words

        return escaped(tags_in_words(answer["tokens"], answer["tags"]))
    if "answer" in answer:
        from lowkey.pipelines.answerer import NO_ANSWER

        return f"{escaped(answer['answer'] or NO_ANSWER)}  {answer['score']:.3f}"
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
