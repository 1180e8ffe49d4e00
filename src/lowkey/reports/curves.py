"""The numbers that a run wrote while it trained, as curves to draw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lowkey.errors import DataError
from lowkey.files import MIB, parse_json, read_text
from lowkey.reports.facts import finite, metric_title, metric_unit
from lowkey.reports.quantities import Unit

_MAX_BYTES = 256 * MIB


@dataclass(frozen=True)
class Curve:
    """One line of a panel: a name and its points."""

    name: str
    steps: Sequence[int | float]
    values: Sequence[int | float]


@dataclass(frozen=True)
class Panel:
    """Curves that share their axes."""

    title: str
    curves: Sequence[Curve]
    unit: Unit = "number"


def read_curves(path: Path) -> list[Curve]:
    """Reads a JSON Lines file of numbers, such as ``metrics.jsonl``.

    Each line is an object with a whole number ``step``; every other finite number in it is
    a point of the curve of its name. A line that is no such object is passed over: the last
    one may have been cut short by a crash.

    Args:
        path: The file; one that does not exist holds no curves.

    Returns:
        The curves, in the order in which their names first appear.

    Raises:
        MissingInputError: If it is not a regular file that can be read.
        DataError: If it is not UTF-8 or larger than 256 MiB.
    """
    points: dict[str, list[tuple[float, float]]] = {}
    if not path.exists():
        return []
    for line in read_text(path, max_bytes=_MAX_BYTES).split("\n"):
        record = _record(line)
        step = finite(record.get("step"))
        if step is None:
            continue
        for name, value in record.items():
            number = finite(value)
            if name != "step" and number is not None:
                points.setdefault(name, []).append((step, number))
    return [Curve(name, *zip(*pairs, strict=True)) for name, pairs in points.items()]


def panels(runs: Mapping[str, Sequence[Curve]]) -> list[Panel]:
    """Arranges curves so that those worth comparing share their axes.

    With one run these are the splits of a measure: ``train/loss`` and ``eval/loss``. With
    several they are the runs.

    Args:
        runs: The curves of each run, by the run's name.

    Returns:
        The panels, those with evaluations first.
    """
    grouped: dict[tuple[str, str], list[Curve]] = {}
    for run, curves in runs.items():
        for curve in curves:
            split, _, measure = curve.name.rpartition("/")
            group = (measure, split if len(runs) > 1 else "")
            name = run if len(runs) > 1 else split
            grouped.setdefault(group, []).append(Curve(name, curve.steps, curve.values))
    evaluated = {
        curve.name.rpartition("/")[2]
        for curves in runs.values()
        for curve in curves
        if curve.name.startswith("eval/")
    }
    ordered = sorted(grouped.items(), key=lambda item: item[0][0] not in evaluated)
    return [_panel(measure, split, curves) for (measure, split), curves in ordered]


def _panel(measure: str, split: str, curves: list[Curve]) -> Panel:
    """Names a panel; what a single curve is called belongs in the title, not at its end."""
    if len(curves) == 1 and not split:
        split, curves = curves[0].name, [Curve("", curves[0].steps, curves[0].values)]
    title = metric_title(measure)
    return Panel(f"{title}, {split}" if split else title, curves, metric_unit(measure))


def _record(line: str) -> dict[str, object]:
    try:
        record = parse_json(line, where="")
    except DataError:
        return {}
    return record if isinstance(record, dict) else {}
