"""How much memory pairs need: held in memory, laid on the disk, and streamed window by window.

Two files of lines are written and read as a training does: rows, tokenizer, tokens, and one pass
over the batches, each way and size in a process of its own, whose peaks are read off. What the
process itself holds is told apart from pages of mapped files, which the system takes back when
others need the room. There is no model: everything measured is the data's.
"""

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.machine import provenance
from lowkey.data.config import DataConfig
from lowkey.data.pairs import PairExamples
from lowkey.data.rows import Rows
from lowkey.data.stored_pairs import store_pairs
from lowkey.data.stored_rows import read_training_rows
from lowkey.data.streams import RowStream
from lowkey.data.tokenizer import TextTokenizer
from lowkey.data.tokenizer_training import train_tokenizer
from lowkey.data.training_pairs import HeldPairs, StreamedPairs, TrainingPairs
from lowkey.experiments.splits import plan_epoch
from lowkey.files import Scratch
from lowkey.training.config import TrainConfig

_WINDOW = 10_000
_WAYS = ("memory", "disk", "stream")
_COLUMNS = ("source", "target")


def run(*, quick: bool, passes: tuple[str, ...]) -> dict[str, Any]:
    """Measures the peaks of corpora of growing size.

    Args:
        quick: Whether to leave out the largest.
        passes: Not used: memory does not depend on the number of cores.

    Returns:
        The figures, as JSON values.

    Raises:
        RuntimeError: If the batches from the disk are not those from memory.
    """
    report: dict[str, Any] = {"benchmark": "data_memory", **provenance()}
    report["settings"] = {"window": _WINDOW, "vocab_size": 2000}
    sizes = (20_000, 200_000) if quick else (20_000, 200_000, 2_000_000)
    report["cases"] = []
    for size in sizes:
        cases = {}
        for way in _WAYS:
            command = [sys.executable, "-m", "benchmarks.data_memory", way, str(size)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            cases[way] = json.loads(done.stdout.splitlines()[-1])
        if cases["disk"]["batches_sha256"] != cases["memory"]["batches_sha256"]:
            raise RuntimeError(f"{size} pairs on the disk give other batches than in memory")
        report["cases"] += cases.values()
    return report


def show(report: dict[str, Any]) -> str:
    """Writes the figures as a table.

    Args:
        report: What ``run`` gave.

    Returns:
        A few lines.
    """
    return "\n".join(
        f"{case['pairs']:,} pairs ({case['file_mib']:.0f} MiB), {case['way']}: peak"
        f" {case['own_peak_mib']:.0f} MiB, with mapped pages {case['peak_mib']:.0f} MiB;"
        f" {case['ready_cpu_seconds']:.1f} s of CPU to be ready,"
        f" {case['pass_cpu_seconds']:.1f} s for a pass"
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


def _train_tokenizer(rows: Rows) -> TextTokenizer:
    """Learns one vocabulary of both sides."""

    class Texts:
        def __iter__(self) -> Iterator[str]:
            return chain.from_iterable(rows.column(name) for name in _COLUMNS)

    return train_tokenizer(Texts(), kind="bpe", vocab_size=2000)


def _prepare(way: str, source: str, folder: Path) -> TrainingPairs:
    """Reads and tokenizes a corpus in one of the ways."""
    if way == "stream":
        config = DataConfig(window=_WINDOW)
        stream = RowStream(source, config, _COLUMNS, "data.train")
        tokenizer = _train_tokenizer(stream.window(0))
        return StreamedPairs(
            stream, lambda rows: PairExamples.from_rows(rows, tokenizer, tokenizer)
        )
    scratch = Scratch(folder, "the training pairs", "free space")
    config = DataConfig(memory_map=way == "disk")
    rows = read_training_rows(source, config, _COLUMNS, scratch, key="data.train")
    assert rows.sha256  # a training hashes its rows
    tokenizer = _train_tokenizer(rows)
    if way == "disk":
        return HeldPairs(store_pairs(rows, tokenizer, tokenizer, scratch), rows)
    return HeldPairs(PairExamples.from_rows(rows, tokenizer, tokenizer), rows)


def _measure(way: str, pairs: int) -> dict[str, Any]:
    """Takes one pass over a corpus in the way of a training."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = _corpus(folder, pairs)
        digest = hashlib.sha256()
        with _own_peak() as own:
            begun = time.process_time()
            prepared = _prepare(way, f"{folder}/train.{{a,b}}", folder)
            ready = time.process_time()
            for epoch in range(-(-pairs // _WINDOW) if way == "stream" else 1):
                plan = plan_epoch(prepared.lengths(epoch), TrainConfig(), epoch)
                for ids in plan.numbered(partial(prepared.numbers, epoch)):
                    batch = prepared.chosen(ids)
                    digest.update(batch.sources.values.tobytes())
                    digest.update(batch.target_labels.values.tobytes())
            done = time.process_time()
    return {
        "pairs": pairs,
        "way": way,
        "file_mib": size,
        "own_peak_mib": own[0] / 1024,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "ready_cpu_seconds": ready - begun,
        "pass_cpu_seconds": done - ready,
        "batches_sha256": digest.hexdigest(),
    }


@contextmanager
def _own_peak() -> Iterator[list[int]]:
    """Watches, every 10 ms, how many KiB this process holds that no file stands behind."""
    peak, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            status = Path("/proc/self/status").read_text()
            peak[0] = max(peak[0], int(status.partition("RssAnon:")[2].split()[0]))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=_WAYS)
    parser.add_argument("pairs", type=int)
    options = parser.parse_args()
    print(json.dumps(_measure(options.way, options.pairs)))
