"""The outcome of a comparison: scores, paired differences, and the rows that tell most."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import count as counting
from pathlib import Path
from typing import Any

import numpy as np

from lowkey.data.rows import Rows
from lowkey.experiments.answers import Answers, telling
from lowkey.files import staged_folder, write_text
from lowkey.metrics.measure import Measure
from lowkey.metrics.paired import PairedDifference, paired_difference
from lowkey.pipelines.bundle import as_metrics

NUM_ROWS_SHOWN = 5


def compared(
    systems: Sequence[Answers], rows: Rows, measures: Mapping[str, Measure], *, shown: int
) -> dict[str, Any]:
    """Scores every system, and compares each with the first.

    Args:
        systems: What each made of the rows.
        rows: The rows.
        measures: The metrics of all systems; see :func:`lowkey.experiments.answers.measures_of`.
        shown: How many systems, the first ones, the rows are chosen by on which they differ most.

    Returns:
        What JSON can say: ``rows``, their number; ``systems``, each with ``name`` and ``metrics``
        as in a bundle; ``differences``, each with ``name``, ``minus`` and ``metrics``, where a
        metric has value, low, high, p_bootstrap, p_randomization and n, and a share of rows
        mcnemar with only_a (hits of the system alone), only_b (of the other) and p_value; and
        ``apart``: the ``metric`` and the ``rows``, each with where, input, truth, and the outputs
        and scores of the systems in their order. What is undefined is null.
    """
    count = len(systems)
    scores = [
        {name: measure.part(i, count) for name, measure in measures.items()} for i in range(count)
    ]
    return {
        "rows": len(rows),
        "systems": [
            {"name": system.name, "metrics": as_metrics(found)}
            for system, found in zip(systems, scores, strict=True)
        ],
        "differences": [
            {
                "name": systems[i].name,
                "minus": systems[0].name,
                "metrics": {
                    name: _plain(paired_difference(measure, i, 0, count))
                    for name, measure in measures.items()
                },
            }
            for i in range(1, count)
        ],
        "apart": _apart(systems, rows, telling(dict(measures)), shown),
    }


def write_outputs(
    folder: Path, systems: Sequence[Answers], rows: Rows, measures: Mapping[str, Measure]
) -> None:
    """Writes what each system made of each row, one JSONL file for each system.

    Args:
        folder: The folder to make.
        systems: What each made of the rows.
        rows: The rows.
        measures: The metrics of all systems; those that a single row has are written with it.

    Raises:
        CannotWriteError: If the folder cannot be written.
    """
    n = len(rows)
    by_row = {name: one.rows.tolist() for name, one in measures.items() if one.rows is not None}
    with staged_folder(folder) as stage:
        for i, (system, file) in enumerate(zip(systems, _file_names(systems), strict=True)):
            lines = []
            for j, (row, output) in enumerate(zip(rows, system.outputs, strict=True)):
                scores = {name: _or_null(values[i * n + j]) for name, values in by_row.items()}
                record = {**row, "output": output, "scores": scores}
                lines.append(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
            write_text(stage / file, "".join(lines))


def _file_names(systems: Sequence[Answers]) -> list[str]:
    """Names each file after its run; a second one of that name gets a number."""
    names: list[str] = []
    for system in systems:
        path = Path(system.name).absolute()
        stem = (path.parent.name if path.name == "best" else path.name).replace(" ", "_")
        free = (f"{stem}-{number}" if number > 1 else stem for number in counting(1))
        names.append(next(name for name in free if name not in names))
    return [f"{name}.jsonl" for name in names]


def _apart(systems: Sequence[Answers], rows: Rows, measure: Measure, shown: int) -> dict[str, Any]:
    """Finds the rows on which the scores of the systems are farthest apart."""
    assert measure.rows is not None, "it was chosen for its rows"
    scores = measure.rows.reshape(len(systems), len(rows))[:shown]
    distance = np.nan_to_num(scores.max(axis=0) - scores.min(axis=0))
    order = np.argsort(-distance, kind="stable")[:NUM_ROWS_SHOWN].tolist()
    columns = (("source", "target"), ("tokens", "tags"), ("question", "answers.text"))
    columns += (("text", "label"), ("text", "text"))
    source, truth = next(pair for pair in columns if set(pair) <= set(rows.columns))
    return {
        "metric": measure.name,
        "rows": [
            {
                "where": rows.where(i),
                "input": rows[i][source],
                "truth": rows[i][truth],
                "outputs": [system.outputs[i] for system in systems[:shown]],
                "scores": [_or_null(score) for score in scores[:, i].tolist()],
            }
            for i in order
            if distance[i] > 0
        ],
    }


def _plain(difference: PairedDifference) -> dict[str, Any]:
    """Writes a difference as plain values."""
    plain = {name: _or_null(value) for name, value in asdict(difference).items()}
    if plain["mcnemar"] is None:
        del plain["mcnemar"]
    return plain


def _or_null(value: Any) -> Any:
    return None if value != value else value
