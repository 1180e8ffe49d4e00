"""The report of one run, from whatever its folder holds."""

import statistics
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from lowkey.errors import LowkeyError
from lowkey.files import read_yaml
from lowkey.reports.curves import Curve, panels, read_curves
from lowkey.reports.facts import (
    Facts,
    lower_is_better,
    metric_title,
    metric_unit,
    read_facts,
)
from lowkey.reports.figures import svg
from lowkey.reports.plots import learning_curves
from lowkey.reports.quantities import Unit, quantity
from lowkey.reports.report import (
    Block,
    Column,
    Headline,
    Headlines,
    KeyValues,
    Picture,
    Report,
    Section,
    Table,
    Text,
)
from lowkey.reports.visible import one_line
from lowkey.run_folder import RunFolder

_MOST_PANELS = 8
_MOST_SAMPLES = 100
_MOST_LETTERS = 400
_KINDS = {
    "translation": "A Transformer that writes one sequence for another",
    "classification": "An encoder that chooses labels",
    "multilabel": "An encoder that says which labels hold",
    "regression": "An encoder that gives a number",
    "tagging": "An encoder that tags words",
    "answering": "An encoder that finds answers in texts",
    "fill-mask": "An encoder that guesses masked words",
}
_METHODS = {
    "scratch": "trained from scratch",
    "lora": "trained with LoRA",
    "full": "all weights trained",
    "head": "head alone trained",
    "bitfit": "biases and head trained",
    "published": "as published",
}

T = TypeVar("T")


def run_report(run: RunFolder) -> Report:
    """Reports a run: scores, examples, curves, cost, recipe and machine.

    Every part of the folder is optional; a part that cannot be read costs a note in the report
    and nothing else.

    Args:
        run: The folder of the run.

    Returns:
        The report, with a section for each part that has something to say.
    """
    notes: list[str] = []
    facts = _try(read_facts, run.best / "lowkey.json", Facts(), notes)
    metrics = _try(read_curves, run.metrics_file, [], notes)
    timings = _try(read_curves, run.timings_file, [], notes)
    recipe = _try(_read_recipe, run.config_file, {}, notes)
    sections = [
        section
        for section in (
            Section(
                "Scores",
                _score_lead(facts),
                [*_notes(facts), *_scores(facts), *_signatures(facts), *_about(facts)],
            ),
            Section("Calibration", _calibration_lead(facts), _calibration(facts)),
            Section("Examples", "What the model made of examples it never saw.", _samples(facts)),
            Section("Learning curves", "", _curves(metrics)),
            Section("Cost", "What the run took.", _cost(facts, timings)),
            Section("Recipe", "Every setting of the run, as it was resolved.", _values(recipe)),
            Section("Machine", "", _values(facts.environment)),
        )
        if section.blocks
    ]
    if notes or not sections:
        blocks = [Text(note, note=True) for note in notes]
        empty = [] if sections else [Text("This folder holds no numbers yet.", note=True)]
        sections.append(Section("Notes", "", [*blocks, *empty]))
    return Report(one_line(run.path.resolve().name), _subtitle(facts), sections)


def _try(read: Callable[[Path], T], path: Path, otherwise: T, notes: list[str]) -> T:
    """Reads a part of the folder, or notes why not."""
    try:
        return read(path)
    except LowkeyError as error:
        notes.append(one_line(f"Left out: {error}", _MOST_LETTERS))
        return otherwise


def _subtitle(facts: Facts) -> str:
    kind = _KINDS.get(facts.kind, "")
    base = f"on {one_line(facts.base_model)}" if facts.base_model else ""
    return ", ".join(part for part in (kind, _METHODS.get(facts.method, ""), base) if part)


def _score_lead(facts: Facts) -> str:
    counted = any(score.n for score in facts.metrics.values())
    return "On held-out examples." if counted else ""


def _scores(facts: Facts) -> list[Block]:
    headlines = [
        Headline(
            one_line(metric_title(name)),
            score,
            metric_unit(name),
            "lower is better" if lower_is_better(name) else "",
        )
        for name, score in facts.metrics.items()
    ]
    return [Headlines(headlines)] if headlines else []


def _signatures(facts: Facts) -> list[Block]:
    """Says how the scores that many programs compute differently were computed."""
    signed = {metric_title(name): score.signature for name, score in facts.metrics.items()}
    return _values(signed, "How the scores were computed, as sacreBLEU signs it.")


def _notes(facts: Facts) -> list[Block]:
    return [Text(one_line(note, _MOST_LETTERS), note=True) for note in facts.notes]


def _calibration_lead(facts: Facts) -> str:
    rows = facts.calibration.rows if facts.calibration else 0
    return f"Fitted on {quantity(rows, 'count')} validation rows, and used in every prediction."


def _calibration(facts: Facts) -> list[Block]:
    """Says how far probabilities were from the truth, and where labels begin to hold."""
    found = facts.calibration
    if found is None:
        return []
    error = "expected calibration error, lower is better"
    headlines = [
        Headline("Before", found.error_before, "share", error),
        Headline("After", found.error_after, "share", error),
        Headline("Temperature", found.temperature, "number", "logits are divided by it"),
    ]
    shown = facts.thresholds[:_MOST_SAMPLES]
    thresholds = {one_line(name, 40): quantity(value, "number") for name, value in shown}
    return [
        Headlines(headlines),
        *_values(thresholds, "The least probability with which each label holds."),
    ]


def _about(facts: Facts) -> list[Block]:
    labels = ", ".join(one_line(label, 40) for label in facts.labels[:_MOST_SAMPLES])
    pooling = "" if facts.pooling == "auto" else facts.pooling
    return _values({"Task": facts.task, "Labels": labels, "Pooling": pooling})


def _samples(facts: Facts) -> list[Block]:
    shown = facts.samples[:_MOST_SAMPLES]
    if not shown:
        return []
    is_code = facts.kind == "translation"
    columns = [Column("Input"), Column("Truth", code=is_code), Column("Model", code=is_code)]
    rows = [
        [one_line(text, _MOST_LETTERS) for text in (s.source, s.target, s.prediction)]
        for s in shown
    ]
    judged = [sample.correct for sample in shown]
    if all(correct is None for correct in judged):
        return [Table(columns, rows)]
    right = sum(correct is True for correct in judged)
    marked = [[*row, correct] for row, correct in zip(rows, judged, strict=True)]
    return [
        Table([*columns, Column("Right")], marked, f"{right} of these {len(marked)} are right.")
    ]


def _curves(curves: list[Curve]) -> list[Block]:
    drawn = panels({"": curves})[:_MOST_PANELS]
    if not drawn:
        return []
    names = ", ".join(one_line(panel.title, 40) for panel in drawn)
    caption = "Faint: each value as it was logged. Strong: the mean with its neighbours."
    many = any(len(curve.steps) > 60 for panel in drawn for curve in panel.curves)
    picture = svg(learning_curves(drawn))
    return [Picture(picture, f"Curves over the steps: {names}", caption if many else "")]


def _cost(facts: Facts, timings: list[Curve]) -> list[Block]:
    counted = {
        metric_title(name): quantity(value, _count_unit(name, value))
        for name, value in facts.counts.items()
    }
    medians = {
        f"{metric_title(curve.name.rpartition('/')[2])}, median": quantity(
            statistics.median(curve.values), metric_unit(curve.name)
        )
        for curve in timings
        if curve.name.endswith("_per_second")
    }
    return _values(counted | medians)


def _count_unit(name: str, value: float) -> Unit:
    unit = metric_unit(name)
    return "count" if unit == "number" and value == int(value) else unit


def _values(values: Mapping[str, str], caption: str = "") -> list[Block]:
    items = [
        (one_line(name), one_line(value, _MOST_LETTERS)) for name, value in values.items() if value
    ]
    return [KeyValues(items, caption)] if items else []


def _read_recipe(path: Path) -> dict[str, str]:
    """Reads a recipe as flat keys, ``train.seed``."""
    return dict(_flatten(read_yaml(path).data, "")) if path.exists() else {}


def _flatten(value: object, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _flatten(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        yield key, ", ".join(_scalar(item) for item in value)
    elif value is not None:
        yield key, _scalar(value)


def _scalar(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
