"""A bundle is saved when a new process, which knows nothing but its files, computes the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from lowkey.errors import DataError
from lowkey.experiments.splits import Splits, spread
from lowkey.pipelines.classifier import TextClassifier
from lowkey.pipelines.mask_filler import MaskFiller
from lowkey.pipelines.probe import PROBE_FILE, PROBE_ROWS, write_probe
from lowkey.pipelines.tagger import Tagger
from lowkey.pipelines.translator import Translator

TOLERANCES = {"fp32": 1e-4, "bf16": 0.05}
"""Largest differences that rounding may make: other processes may choose other kernels."""

_SECONDS = 600


def save_with_probe(
    pipeline: TextClassifier | Tagger | MaskFiller | Translator, splits: Splits, folder: Path
) -> None:
    """Writes a bundle, and what the model in memory computes for a few validation rows.

    Args:
        pipeline: The model.
        splits: The rows of the run.
        folder: An existing folder.

    Raises:
        CannotWriteError: If a file cannot be written.
    """
    pipeline.save(folder)
    write_probe(pipeline, spread(splits.validation, PROBE_ROWS), folder)


def verified(folder: Path, *, base: str | None, precision: str) -> str:
    """Opens a bundle in a new process and compares what it computes for a few rows.

    Args:
        folder: The bundle, with a probe in it.
        base: Where the base model is, if it needs one.
        precision: "fp32" or "bf16": what the probe was computed in.

    Returns:
        A line that says so.

    Raises:
        DataError: If the bundle does not open, or does not compute what the model in memory did.
    """
    if not (folder / PROBE_FILE).exists():
        return f"note: {folder} comes from an earlier version and was not opened again"
    found = _in_new_process(folder, base)
    if not found <= TOLERANCES[precision]:
        raise DataError(
            f"{folder} does not compute what was trained: a new process differs by {found:.1e}",
            fix="keep the run folder and report this",
        )
    gap = f"{found:.1e}" if found else "0"
    return (
        f"saved: {folder} (a new process opened it: largest difference of its numbers on"
        f" {PROBE_ROWS} validation rows {gap})"
    )


def _in_new_process(folder: Path, base: str | None) -> float:
    command = [sys.executable, "-P", "-m", "lowkey.pipelines.probe", str(folder)]
    command += [] if base is None else ["--base", base]
    # As many threads as here: sums differ in the last bit between counts.
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        env=environment,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise DataError(f"{folder} cannot be opened by a new process: {last}")
    return float(json.loads(done.stdout.splitlines()[-1])["difference"])
