"""Sixteen adapters in one batch: what it costs beside a batch of one adapter.

All sides compute the same sentences on the same base, without gradients, by turns in one process;
a ratio is taken within one repeat, and the median over the repeats counts. Before anything is timed
it is asserted that the mixed batch gives what each adapter gives alone.
"""

import copy
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.machine import cores, provenance
from lowkey.lora.bank import AdapterBank
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import adapters, inject
from lowkey.lora.rows import Rows
from lowkey.models.config import EncoderConfig
from lowkey.models.encoder import Encoder
from lowkey.models.heads import SequenceClassifier
from lowkey.nn.layout import SequenceLayout

ENCODERS = {
    "BERT-base": EncoderConfig(
        vocab_size=30_522, d_model=768, num_layers=12, num_heads=12, d_ff=3072
    ),
    "MiniLM": EncoderConfig(vocab_size=30_522, d_model=384, num_layers=6, num_heads=12, d_ff=1536),
}
GOAL = 1.3
"""The most that a mixed batch may cost, in batches of one adapter."""

_ALONE, _MIXED = "one adapter", "mixed, sorted by adapter"


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        adapters: How many adapters there are, each in the batch as often as the others.
        sentences: Sentences in the batch.
        repeats: How often all sides take their turn.
    """

    adapters: int = 16
    sentences: int = 32
    repeats: int = 15


def run(*, quick: bool, passes: Sequence[str]) -> dict[str, Any]:
    """Measures.

    Args:
        quick: Whether to repeat only a few times: a look, not a result.
        passes: Whether on one core, on all, or both.

    Returns:
        The figures, as JSON values.
    """
    scale = Scale(repeats=5) if quick else Scale()
    report: dict[str, Any] = {"benchmark": "adapter_bank", **provenance(), "passes": {}}
    report["settings"] = {
        **vars(scale),
        "lora": "r=8 on all linear maps, a head of its own each",
        "goal": GOAL,
        "quick": quick,
    }
    threads = torch.get_num_threads()
    for name in passes:
        one = name == "one core"
        torch.set_num_threads(1 if one else cores())
        clock = time.process_time if one else time.perf_counter
        report["passes"][name] = {
            "threads": torch.get_num_threads(),
            "seconds_are": "CPU seconds of the process" if one else "seconds on the wall",
            "encoders": {
                title: measure(config, scale, clock) for title, config in ENCODERS.items()
            },
        }
    torch.set_num_threads(threads)
    return report


@torch.inference_mode()
def measure(config: EncoderConfig, scale: Scale, clock: Callable[[], float]) -> dict[str, Any]:
    """Times all ways of computing one batch.

    Args:
        config: Sizes of the encoder.
        scale: How much.
        clock: What counts the seconds.

    Returns:
        Milliseconds of each way, medians over the repeats, and what each costs in batches of one
        adapter.
    """
    ways = sides(config, scale)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(scale.repeats + 1):
        turn = repeat % len(ways)
        for name in [*ways][turn:] + [*ways][:turn]:
            start = clock()
            ways[name]()
            if repeat:  # the first one warms up
                seconds[name].append(clock() - start)
    ratios = {
        name: [own / alone for own, alone in zip(values, seconds[_ALONE], strict=True)]
        for name, values in seconds.items()
    }
    return {
        name: {
            "milliseconds": round(1e3 * statistics.median(seconds[name]), 2),
            "ratio": round(statistics.median(ratios[name]), 3),
            "repeats": [round(ratio, 3) for ratio in ratios[name]],
        }
        for name in ways
    }


def sides(config: EncoderConfig, scale: Scale) -> dict[str, Callable[[], Tensor]]:
    """Prepares the ways, and asserts that they compute the same.

    Args:
        config: Sizes of the encoder.
        scale: How much.

    Returns:
        What computes the batch in each way, by its name.
    """
    base = SequenceClassifier(Encoder(config), 2).eval()
    options = LoRAConfig(r=8)
    bank = AdapterBank(base, SequenceClassifier.row_kinds, base="drawn")
    names = [f"adapter {number}" for number in range(scale.adapters)]
    alone = _adapted(base, options)  # before the bank changes it
    for number, name in enumerate(names):
        _draw(alone, number)
        bank.add(name, alone, options, base="drawn")
    ids, layout = _sentences(scale, config.vocab_size)
    per_adapter = scale.sentences // scale.adapters
    owners = [name for name in names for _ in range(per_adapter)]
    shuffled = np.random.default_rng(1).permutation(owners).tolist()

    def mixed(owners: Sequence[str]) -> Tensor:
        with bank.route(tokens=Rows(owners, layout.lengths), sentences=Rows(owners)):
            return bank.model(ids, layout)

    def in_turn() -> Tensor:
        found = []
        for number, name in enumerate(names):
            own = range(number * per_adapter, (number + 1) * per_adapter)
            rows, some = layout.select(own)
            bank.switch(name)
            found.append(bank.model(ids[rows], some))
        bank.switch(None)
        return torch.cat(found)

    with torch.inference_mode():
        expected = in_turn()
        last = slice(-per_adapter, None)  # the adapter that was drawn last is still in its model
        torch.testing.assert_close(mixed(owners), expected, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(mixed(owners)[last], alone(ids, layout)[last], atol=1e-4, rtol=0)
        assert (mixed(owners) - mixed(shuffled)).abs().max() > 1e-2
    return {
        _ALONE: lambda: alone(ids, layout),
        _MIXED: lambda: mixed(owners),
        "mixed, shuffled": lambda: mixed(shuffled),
        "one adapter after the other": in_turn,
    }


def _adapted(base: SequenceClassifier, options: LoRAConfig) -> SequenceClassifier:
    """Adapts a model that shares the weights of the base, so that both fit into memory."""
    shared = {id(p): p for p in base.encoder.parameters()}
    model = copy.deepcopy(base, shared)
    inject(model, options)
    return model.eval()


def _draw(model: SequenceClassifier, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for module in adapters(model).values():
        nn.init.normal_(module.lora_B.weight, std=0.02, generator=generator)
    nn.init.normal_(model.classifier.weight, std=0.5, generator=generator)


def _sentences(scale: Scale, vocab_size: int) -> tuple[Tensor, SequenceLayout]:
    """Draws sentences whose lengths are lognormal with a median of 25."""
    rng = np.random.default_rng(0)
    lengths = np.exp(rng.normal(np.log(25), 0.6, scale.sentences)).round().clip(4, 128)
    layout = SequenceLayout(lengths.astype(np.int64).tolist())
    ids = rng.integers(vocab_size // 2, vocab_size, layout.num_tokens)
    return torch.from_numpy(ids), layout


def show(report: dict[str, Any]) -> str:
    """Writes the figures for people.

    Args:
        report: What ``run`` gave.

    Returns:
        A table.
    """
    lines = [f"adapters of one base on {report['machine']['processor']}, fp32"]
    for name, part in report["passes"].items():
        lines += ["", f"{name}, {part['threads']} threads; {part['seconds_are']}"]
        for title, ways in part["encoders"].items():
            lines.append(f"  {title}")
            for way, found in ways.items():
                goal = f", goal at most {GOAL}" if way == _MIXED else ""
                low, high = min(found["repeats"]), max(found["repeats"])
                lines.append(
                    f"    {way:<34}{found['milliseconds']:>9.1f} ms"
                    f"{found['ratio']:>7.2f} times one adapter ({low:.2f} to {high:.2f}{goal})"
                )
    return "\n".join(lines)
