"""How much memory streamed pairs need: a corpus ten times as large must not need more.

Two files of lines are written, tokenized window by window and planned into batches, in a process
of its own for each size, whose peak is read off.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import provenance
from lowkey.data.config import DataConfig
from lowkey.data.pairs import PairExamples
from lowkey.data.rows import Rows
from lowkey.data.streams import RowStream
from lowkey.data.tokenizer_training import train_tokenizer
from lowkey.data.training_pairs import StreamedPairs
from lowkey.experiments.splits import plan_epoch
from lowkey.training.config import TrainConfig

_WINDOW = 10_000


def run(*, quick: bool, passes: tuple[str, ...]) -> dict[str, Any]:
    """Measures the peak of two corpora.

    Args:
        quick: Whether to take a tenth of the sizes.
        passes: Not used: memory does not depend on the number of cores.

    Returns:
        The figures, as JSON values.
    """
    report: dict[str, Any] = {"benchmark": "data_memory", **provenance()}
    report["settings"] = {"window": _WINDOW}
    sizes = (20_000, 200_000) if quick else (200_000, 2_000_000)
    report["cases"] = []
    for size in sizes:
        command = [sys.executable, "-m", "benchmarks.data_memory", "--pairs", str(size)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        report["cases"].append(json.loads(done.stdout.splitlines()[-1]))
    return report


def show(report: dict[str, Any]) -> str:
    """Writes the figures as a table.

    Args:
        report: What ``run`` gave.

    Returns:
        A few lines.
    """
    return "\n".join(
        f"{case['pairs']:,} pairs ({case['file_mib']:.0f} MiB): peak {case['peak_mib']:.0f} MiB,"
        f" {case['seconds']:.0f} s"
        for case in report["cases"]
    )


def _corpus(folder: Path, pairs: int) -> float:
    """Writes two files of lines, each pair another; returns their size in MiB."""
    paths = [folder / "train.a", folder / "train.b"]
    with paths[0].open("w") as one, paths[1].open("w") as other:
        for i in range(pairs):
            words = " ".join(f"{i * k % 9973:x}" for k in range(3, 10 + i % 7))
            one.write(f"{words}\n")
            other.write(f"{words[::-1]}\n")
    return sum(path.stat().st_size for path in paths) / 2**20


def _go_through(pairs: int) -> dict[str, float]:
    """Takes one pass over a corpus in the way of a training."""
    with tempfile.TemporaryDirectory() as folder:
        size = _corpus(Path(folder), pairs)
        begun = time.perf_counter()
        config = DataConfig(window=_WINDOW)
        source = f"{folder}/train.{{a,b}}"
        stream = RowStream(source, config, ("source", "target"), "data.train")
        tokenizer = train_tokenizer(stream.window(0).column("source"), kind="bpe", vocab_size=2000)

        def encode(rows: Rows) -> PairExamples:
            return PairExamples.from_rows(rows, tokenizer, tokenizer)

        streamed, train = StreamedPairs(stream, encode), TrainConfig()
        for window in range(-(-pairs // _WINDOW)):
            plan = plan_epoch(streamed.lengths(window), train, window)
            for ids in plan:
                streamed.chosen(streamed.numbers(window, ids))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {
            "pairs": pairs,
            "file_mib": size,
            "peak_mib": peak,
            "seconds": time.perf_counter() - begun,
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, required=True)
    print(json.dumps(_go_through(parser.parse_args().pairs)))
