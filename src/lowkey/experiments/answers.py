"""What systems make of labelled rows, and how good that is by every metric of their kind."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lowkey.data.flat import FlatSequences
from lowkey.data.label_sets import LabelSets
from lowkey.data.labels import label_name, label_numbers
from lowkey.data.rows import Rows
from lowkey.errors import DataError
from lowkey.experiments.task import columns_for
from lowkey.files import MIB, parse_json, read_text, write_text
from lowkey.metrics.classification import accuracy_of, f1_macro_of
from lowkey.metrics.masked import masked_measures
from lowkey.metrics.measure import Measure
from lowkey.metrics.multilabel import multilabel_measures
from lowkey.metrics.regression import mse_of, pearson_of, spearman_of
from lowkey.metrics.squad import squad_measures
from lowkey.metrics.tagging import tag_measures
from lowkey.pipelines.answerer import Answerer
from lowkey.pipelines.bundle import Facts
from lowkey.pipelines.load import AnyPipeline
from lowkey.pipelines.mask_filler import MaskFiller
from lowkey.pipelines.tagger import Tagger
from lowkey.pipelines.text_scores import allowed_targets, text_measures
from lowkey.pipelines.translator import Translator

_MAX_ANSWERS = 1024 * MIB
# By which metric rows are shown on which two systems differ most.
_BY_ROW = ("chrf", "token_error_rate", "entity_f1", "nll", "f1_micro", "f1", "accuracy", "mse")


@dataclass(frozen=True)
class Answers:
    """What one system makes of the rows.

    Attributes:
        name: The system as messages name it: a run, a baseline, or any other.
        outputs: A text or the name of a class for each row; a number for a regression; the names
            of any number of labels; the tags of its words, None where there is none, for a tagger;
            a text, or None, for a question; for a masked-language model what ``MaskFiller.counts``
            says of the text.
        scores: How sure it is of each label of each row, where rows have any number of them.
    """

    name: str
    outputs: (
        Sequence[str | None]
        | Sequence[float]
        | Sequence[Sequence[str | None]]
        | Sequence[Sequence[float]]
    )
    scores: Sequence[Mapping[str, float]] | None = None


def columns_of(facts: Facts) -> tuple[str, ...]:
    """Names the columns that a model is scored on.

    Args:
        facts: What the model is.

    Returns:
        The columns it reads, and those of the truth where the text is not its own.
    """
    if facts.kind == "translation":
        return "source", "target"
    return columns_for(facts.task)


def answers_of(name: str, pipeline: AnyPipeline, rows: Rows) -> Answers:
    """Lets a model answer every row, once.

    Args:
        name: The model as messages name it.
        pipeline: The model.
        rows: Labelled rows.

    Returns:
        Its answers, in the order of the rows.

    Raises:
        DataError: If the rows are not what the model reads, or a label is none of its classes.
    """
    if isinstance(pipeline, Translator):
        return Answers(name, pipeline.translate(rows.column("source"), long="truncate"))
    if isinstance(pipeline, Tagger):
        return Answers(name, pipeline.tags(pipeline.examples(rows)))
    if isinstance(pipeline, Answerer):
        return Answers(name, pipeline.texts(pipeline.examples(rows)))
    if isinstance(pipeline, MaskFiller):
        return Answers(name, pipeline.counts(pipeline.examples(rows)).tolist())
    logits, decision = pipeline.logits(pipeline.examples(rows)), pipeline.decision
    scores = None
    if pipeline.facts.kind == "multilabel":
        scores = [dict(zip(pipeline.facts.labels, row, strict=True)) for row in logits.tolist()]
    return Answers(name, decision.outputs(logits), scores)


def write_answers(answers: Answers, file: Path) -> None:
    """Writes answers as JSON Lines, one line a row and none of the texts.

    Args:
        answers: The answers.
        file: Where to.

    Raises:
        CannotWriteError: If the file cannot be written.
    """
    scores = answers.scores or [None] * len(answers.outputs)
    records = [
        {"output": output} if sure is None else {"output": output, "scores": dict(sure)}
        for output, sure in zip(answers.outputs, scores, strict=True)
    ]
    write_text(file, "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records))


def read_answers(name: str, file: Path) -> Answers:
    """Reads what :func:`write_answers` wrote.

    Args:
        name: The system as messages name it.
        file: The file.

    Returns:
        The answers.

    Raises:
        MissingInputError: If the file is not there.
        DataError: If a line is not what was written.
    """
    lines = read_text(file, max_bytes=_MAX_ANSWERS).removesuffix("\n").split("\n")
    records = [parse_json(line, where=f"{file}:{n}") for n, line in enumerate(lines, start=1)]
    if not all(isinstance(record, dict) and "output" in record for record in records):
        raise DataError(f"{file} holds no answers", fix="let the run be made again")
    scores = [record["scores"] for record in records if "scores" in record]
    return Answers(name, [record["output"] for record in records], scores or None)


def measures_of(
    systems: Sequence[Answers], rows: Rows, kind: str, tasks: Sequence[str]
) -> dict[str, Measure]:
    """Measures systems of one kind by the metrics of that kind.

    Args:
        systems: What each made of the rows.
        rows: The rows, with the truth.
        kind: "translation", "classification", "multilabel", "regression", "tagging", "answering"
            or "fill-mask".
        tasks: For translations "words", "text" or both: which metrics.

    Returns:
        The metrics by name, each of the rows of all systems, one system after the other.

    Raises:
        DataError: If a system has not one answer for each row.
    """
    for system in systems:
        if len(system.outputs) != len(rows):
            raise DataError(
                f"{system.name} has {len(system.outputs)} outputs for the {len(rows)} rows"
                f" of {rows.place}",
                fix="give one output for each row",
            )
    outputs: list[Any] = [output for system in systems for output in system.outputs]
    if kind == "translation":
        texts, allowed = [str(output) for output in outputs], allowed_targets(rows) * len(systems)
        sets = [text_measures(texts, allowed, task) for task in dict.fromkeys(tasks)]
        return {name: measure for measures in sets for name, measure in measures.items()}
    if kind == "tagging":
        truth = [[label_name(tag) for tag in tags] for tags in rows.column("tags")]
        return tag_measures(outputs, truth * len(systems))
    if kind == "answering":
        return squad_measures(outputs, list(rows.column("answers.text")) * len(systems))
    if kind == "multilabel":
        return _of_label_sets(systems, outputs, rows)
    if kind == "fill-mask":
        return masked_measures(np.array(outputs))
    if kind == "regression":
        numbers = np.tile(label_numbers(rows), len(systems))
        found = [of(np.array(outputs), numbers) for of in (mse_of, pearson_of, spearman_of)]
    else:
        names = [label_name(value) for value in rows.column("label")] * len(systems)
        found = [of(outputs, names) for of in (accuracy_of, f1_macro_of)]
    return {measure.name: measure for measure in found}


def _of_label_sets(
    systems: Sequence[Answers], outputs: Sequence[Sequence[str]], rows: Rows
) -> dict[str, Measure]:
    """Lays names out in tables, one column for each label that anybody knows."""
    truth = [[label_name(value) for value in values] for values in rows.column("label")]
    scores = [row for system in systems for row in system.scores or ()]
    known = {name for labels in (*truth, *outputs, *scores) for name in labels}
    column = {name: i for i, name in enumerate(sorted(known))}

    def table(sets: Sequence[Sequence[str]]) -> np.ndarray:
        ids = FlatSequences.of([[column[name] for name in names] for names in sets])
        return LabelSets(ids, len(column)).table

    sure = None
    if len(scores) == len(outputs):
        sure = np.array([[row.get(name, -np.inf) for name in column] for row in scores])
    return multilabel_measures(table(outputs), table(truth * len(systems)), sure)


def telling(measures: dict[str, Measure]) -> Measure:
    """Chooses the metric by which single rows are compared.

    Args:
        measures: All metrics of the systems.

    Returns:
        The one that says most about a row.
    """
    return next(measures[name] for name in _BY_ROW if name in measures)
