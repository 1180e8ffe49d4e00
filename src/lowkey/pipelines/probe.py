"""What a model computed for a few rows when it was saved, so that any process can compute it again.

python -m lowkey.pipelines.probe BUNDLE --base BASE     prints the largest difference as JSON
"""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field, JsonValue, ValidationError

from lowkey.config import Config
from lowkey.data.config import DataConfig
from lowkey.data.rows import Rows, select_rows
from lowkey.data.table import table_of_records
from lowkey.errors import DataError
from lowkey.files import read_json, write_json
from lowkey.pipelines.bundle import first_problem
from lowkey.pipelines.encoder_pipeline import EncoderPipeline
from lowkey.pipelines.load import AnyPipeline, load
from lowkey.pipelines.mask_filler import MaskFiller
from lowkey.pipelines.translator import Translator

PROBE_FILE = "probe.json"
PROBE_ROWS = 8
"""Rows that are kept: enough to notice a wrong weight, label or token, few enough to read."""

_COMPANIONS = ("text_pair", "alternatives")


class Probe(Config):
    """Rows, and what the model in memory made of them.

    Attributes:
        rows: The rows.
        numbers: The logits of all rows, one after the other; of a translator the mean negative
            log-likelihood of a token of each target, of a masked-language model that of a masked
            token of each text.
        device: Where they were computed.
        precision: What they were computed in.
    """

    rows: Annotated[list[dict[str, JsonValue]], Field(min_length=1, max_length=100)]
    numbers: list[float]
    device: str
    precision: Literal["fp32", "bf16"]


def write_probe(pipeline: AnyPipeline, rows: Rows, folder: Path) -> None:
    """Computes some rows and keeps them in a bundle.

    Args:
        pipeline: The model that the bundle holds.
        rows: The rows.
        folder: The bundle.

    Raises:
        CannotWriteError: If the file cannot be written.
    """
    numbers = numbers_of(pipeline, rows).tolist()
    probe = Probe(
        rows=[rows[i] for i in range(len(rows))],
        # A model that has diverged has no number to compare; what it computes is kept as 0.
        numbers=[number if math.isfinite(number) else 0.0 for number in numbers],
        device=str(pipeline.device),
        precision=pipeline.facts.precision,
    )
    write_json(folder / PROBE_FILE, probe.model_dump(mode="json"))


def numbers_of(pipeline: AnyPipeline, rows: Rows) -> Float[np.ndarray, " numbers"]:
    """Computes what a probe keeps.

    Args:
        pipeline: The model.
        rows: Rows with what it reads, and the truth.

    Returns:
        The numbers in one line.
    """
    if isinstance(pipeline, Translator):
        single = [_rows([rows[i]]) for i in range(len(rows))]
        return np.array([pipeline.nll(pipeline.examples(row)) for row in single], dtype=np.float64)
    if isinstance(pipeline, MaskFiller):
        # As many logits as the vocabulary for each token would fill a file.
        counts = pipeline.counts(pipeline.examples(rows))
        return counts[:, 0] / np.maximum(counts[:, 2], 1)
    encoder: EncoderPipeline[Any, Any] = pipeline
    return encoder.logits(encoder.examples(rows)).astype(np.float64).ravel()


def difference(folder: Path, *, base: str | None = None) -> float:
    """Opens a bundle and computes its probe again.

    Args:
        folder: The bundle.
        base: Where the base model is, if not where it was in training.

    Returns:
        The largest difference, relative where numbers are larger than 1.

    Raises:
        MissingInputError: If there is no probe, or the base is not there.
        DataError: If a file is damaged, or if the model computes another count of numbers.
    """
    path = folder / PROBE_FILE
    try:
        probe = Probe.model_validate(read_json(path))
    except ValidationError as error:
        raise DataError(first_problem(error), where=str(path)) from None
    pipeline = load(folder, base=base, device=probe.device, precision=probe.precision)
    found, expected = numbers_of(pipeline, _rows(probe.rows)), np.array(probe.numbers)
    if len(found) != len(expected):
        raise DataError(f"{len(found)} numbers where {len(expected)} were", where=str(path))
    gaps = np.abs(found - expected) / np.maximum(np.abs(expected), 1)
    return float(gaps.max())


def _rows(records: Sequence[dict[str, JsonValue]]) -> Rows:
    table = table_of_records(PROBE_FILE, records, range(1, len(records) + 1))
    return select_rows(
        table, DataConfig(), [name for name in records[0] if name not in _COMPANIONS]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the largest difference.

    Args:
        arguments: The command line; that of the process if None.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--base")
    options = parser.parse_args(arguments)
    print(json.dumps({"difference": difference(options.bundle, base=options.base)}))


if __name__ == "__main__":
    main()
