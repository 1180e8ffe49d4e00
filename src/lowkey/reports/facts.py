"""What a bundle says about itself in ``lowkey.json``: read with suspicion, every part optional."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lowkey.files import read_json
from lowkey.metrics.intervals import Score
from lowkey.reports.quantities import Unit

_TITLES = {
    "accuracy": "Accuracy",
    "average_precision": "Average precision",
    "bleu": "BLEU",
    "chrf": "chrF",
    "disk_bytes": "Size on disk",
    "entity_f1": "F1 of entities",
    "entity_precision": "Precision of entities",
    "entity_recall": "Recall of entities",
    "answerable_f1": "F1 of questions with an answer",
    "f1_macro": "F1, macro",
    "f1_micro": "F1, micro",
    "lr": "Learning rate",
    "matthews": "Matthews correlation",
    "mse": "Mean squared error",
    "nll": "Negative log-likelihood",
    "peak_memory_mib": "Peak memory",
    "partial_f1": "F1 of entities, partial",
    "pearson": "Pearson correlation",
    "spearman": "Spearman correlation",
    "ter": "TER",
    "training_seconds": "Training time",
    "unanswerable_accuracy": "Accuracy on questions without an answer",
}
_SHARES = ("accuracy", "exact", "f1", "precision", "recall", "rate")
_LOWER = ("loss", "error", "mse", "nll", "perplexity", "seconds", "bytes", "mib", "ter")


@dataclass(frozen=True)
class Sample:
    """One example with what the model made of it; ``correct`` is None where nobody judged."""

    source: str
    target: str
    prediction: str
    correct: bool | None = None


@dataclass(frozen=True)
class Calibration:
    """What was fitted on validation rows when the training was over; see the bundle's facts."""

    temperature: float
    error_before: float
    error_after: float
    rows: int
    thresholds: Sequence[float] = ()


@dataclass(frozen=True)
class Facts:
    """The readable part of a ``lowkey.json``; what is missing or malformed stays empty."""

    kind: str = ""
    task: str = ""
    method: str = ""
    base_model: str = ""
    labels: Sequence[str] = ()
    max_length: float | None = None
    long_texts: str = ""
    pooling: str = ""
    calibration: Calibration | None = None
    notes: Sequence[str] = ()
    metrics: Mapping[str, Score] = field(default_factory=dict)
    counts: Mapping[str, float] = field(default_factory=dict)
    samples: Sequence[Sample] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def thresholds(self) -> list[tuple[str, float]]:
        """From which probability on each label holds; of two classes the second one alone."""
        found = () if self.calibration is None else self.calibration.thresholds
        names = self.labels[-1:] if len(found) == 1 else self.labels
        return list(zip(names, found, strict=False))


def read_facts(path: Path) -> Facts:
    """Reads the facts of a bundle.

    Args:
        path: A ``lowkey.json``; one that does not exist tells nothing.

    Returns:
        What could be understood.

    Raises:
        MissingInputError: If it is not a regular file that can be read.
        DataError: If it is not strict JSON.
    """
    return facts_from(read_json(path)) if path.exists() else Facts()


def facts_from(document: object) -> Facts:
    """Picks the facts out of parsed JSON, leaving aside whatever has not the expected shape.

    Args:
        document: Anything that JSON can say.

    Returns:
        What could be understood.
    """
    fields = _mapping(document)
    scores = {name: _score(value) for name, value in _mapping(fields.get("metrics")).items()}
    counts = {name: finite(value) for name, value in _mapping(fields.get("counts")).items()}
    environment = _mapping(fields.get("environment")).items()
    return Facts(
        kind=_text(fields.get("kind")),
        task=_text(fields.get("task")),
        method=_text(fields.get("method")),
        base_model=_text(fields.get("base_model")),
        labels=[_text(label) for label in _list(fields.get("labels"))],
        max_length=finite(fields.get("max_length")),
        long_texts=_text(fields.get("long_texts")),
        pooling=_text(fields.get("pooling")),
        calibration=_calibration(_mapping(fields.get("calibration"))),
        notes=[_text(note) for note in _list(fields.get("notes")) if _text(note)],
        metrics={name: value for name, value in scores.items() if value is not None},
        counts={name: value for name, value in counts.items() if value is not None},
        samples=[_sample(_mapping(item)) for item in _list(fields.get("samples"))],
        environment={name: _text(value) for name, value in environment if _text(value)},
    )


def metric_title(name: str) -> str:
    """Gives a metric the name that a reader knows it by.

    Args:
        name: Its key, such as ``word_error_rate``.

    Returns:
        A heading, such as ``Word error rate``.
    """
    return _TITLES.get(name) or (name[:1].upper() + name[1:]).replace("_", " ")


def metric_unit(name: str) -> Unit:
    """Says how the numbers of a metric, or of a count, are written.

    Args:
        name: Its key, such as ``word_error_rate`` or ``peak_memory_mib``.

    Returns:
        The unit that its last word stands for.
    """
    words = name.lower().split("_")
    if words[-1] in ("seconds", "bytes"):
        return "seconds" if words[-1] == "seconds" else "bytes"
    if words[-1] == "mib":
        return "mebibytes"
    is_share = words[0] in _SHARES or words[-1] in _SHARES
    return "share" if is_share and "learning" not in words else "number"


def lower_is_better(name: str) -> bool:
    """Tells whether a small value of a metric is a good one.

    Args:
        name: Its key.

    Returns:
        True for losses, errors and costs.
    """
    return any(word in _LOWER for word in name.lower().split("_"))


def finite(value: object) -> float | None:
    """Takes a value for a number if it is one.

    Args:
        value: Anything that strict JSON can say.

    Returns:
        The number, or None for anything else; true and false are no numbers.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _mapping(value: object) -> dict[str, object]:
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value)


def _calibration(parts: Mapping[str, object]) -> Calibration | None:
    names = ("temperature", "error_before", "error_after", "rows")
    numbers = [finite(parts.get(name)) for name in names]
    temperature, before, after, rows = numbers
    if temperature is None or before is None or after is None or rows is None:
        return None
    thresholds = [finite(value) for value in _list(parts.get("thresholds"))]
    known = [value for value in thresholds if value is not None]
    return Calibration(temperature, before, after, int(rows), known)


def _score(value: object) -> Score | None:
    parts = _mapping(value) if isinstance(value, dict) else {"value": value}
    number = finite(parts.get("value"))
    if number is None:
        return None
    low, high = finite(parts.get("low")), finite(parts.get("high"))
    return Score(
        value=number,
        low=math.nan if low is None else low,
        high=math.nan if high is None else high,
        n=int(finite(parts.get("n")) or 0),
        signature=_text(parts.get("signature")),
    )


def _sample(parts: Mapping[str, object]) -> Sample:
    correct = parts.get("correct")
    return Sample(
        source=_text(parts.get("source", parts.get("text"))),
        target=_text(parts.get("target", parts.get("label"))),
        prediction=_text(parts.get("prediction")),
        correct=correct if isinstance(correct, bool) else None,
    )
