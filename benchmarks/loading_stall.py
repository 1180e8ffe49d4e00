"""How long a training step waits for its batch: a small Transformer on texts, with subword dropout.

The time from asking for a batch to having its tensors, as a share of the whole step. With dropout
the next batch is cut in a second thread meanwhile; what it takes without one stands beside it.
"""

import random
import time
from typing import Any

import torch

from benchmarks.machine import cores, provenance
from benchmarks.translation_step import SMALL
from lowkey.data.config import DataConfig
from lowkey.data.pairs import PairExamples
from lowkey.data.prefetch import Prefetch
from lowkey.data.rows import Rows, select_rows
from lowkey.data.subword_dropout import SubwordDropout
from lowkey.data.table import table_of_records
from lowkey.data.tokenizer import TextTokenizer
from lowkey.data.tokenizer_training import train_tokenizer
from lowkey.data.training_pairs import HeldPairs, PairDropout
from lowkey.experiments.splits import plan_epoch
from lowkey.models.transformer import Transformer
from lowkey.training.config import TrainConfig
from lowkey.training.loss import label_smoothed_cross_entropy
from lowkey.training.optimizer import build_optimizer

_PAIRS, _WORDS = 4000, 5000
_RATE = 0.1


def run(*, quick: bool, passes: tuple[str, ...]) -> dict[str, Any]:
    """Times steps with and without subword dropout.

    Args:
        quick: Whether to take few steps only.
        passes: Whether on one core, on all, or both.

    Returns:
        The figures, as JSON values.
    """
    report: dict[str, Any] = {"benchmark": "loading_stall", **provenance(), "passes": {}}
    steps = 4 if quick else 12
    report["settings"] = {"pairs": _PAIRS, "batch_tokens": 4096, "dropout": _RATE, "steps": steps}
    rows = _rows()
    texts = [*rows.column("source"), *rows.column("target")]
    tokenizer = train_tokenizer(texts, kind="bpe", vocab_size=8000)
    threads = torch.get_num_threads()
    for name in passes:
        torch.set_num_threads(1 if name == "one core" else cores())
        report["passes"][name] = {
            f"dropout {rate}": _measure(rows, tokenizer, rate, steps) for rate in (0.0, _RATE)
        }
    torch.set_num_threads(threads)
    return report


def show(report: dict[str, Any]) -> str:
    """Writes the figures as a table.

    Args:
        report: What ``run`` gave.

    Returns:
        A few lines.
    """
    return "\n".join(
        f"{name}, {case}: {values['wait_share']:.2%} of a step of {values['step_ms']:.0f} ms waits"
        f" ({values['make_ms']:.1f} ms to make a batch)"
        for name, cases in report["passes"].items()
        for case, values in cases.items()
    )


def _measure(rows: Rows, tokenizer: TextTokenizer, rate: float, steps: int) -> dict[str, float]:
    """Trains for some steps, and makes the same batches once more without a model."""
    examples = PairExamples.from_rows(rows, tokenizer, tokenizer)
    dropout = SubwordDropout(tokenizer, rate) if rate else None
    cut_anew = PairDropout(dropout, dropout, 1, None) if dropout else None
    pairs = HeldPairs(examples, rows, cut_anew)
    config = TrainConfig(batch_tokens=4096)
    plan = [pairs.numbers(0, ids) for ids in plan_epoch(pairs.lengths(0), config, 0)][: steps + 1]
    model = Transformer(SMALL).train()
    optimizer = build_optimizer(model, config)
    ahead = Prefetch(pairs.chosen)
    ahead.follow(plan)
    waits, whole = [], []
    for ids in plan:
        begun = time.perf_counter()
        batch = ahead.get(ids).as_batch()
        waits.append(time.perf_counter() - begun)
        optimizer.zero_grad()
        logits = model(
            batch.source_ids, batch.source_layout, batch.target_input_ids, batch.target_layout
        )
        label_smoothed_cross_entropy(logits, batch.target_labels, 0.1)[0].backward()
        optimizer.step()
        whole.append(time.perf_counter() - begun)
    begun = time.process_time()
    for ids in plan[1:]:
        pairs.chosen(ids).as_batch()
    made = time.process_time() - begun
    # The first step warms up, and nobody could have made its batch ahead.
    return {
        "wait_share": sum(waits[1:]) / sum(whole[1:]),
        "step_ms": 1e3 * sum(whole[1:]) / steps,
        "make_ms": 1e3 * made / steps,
    }


def _rows() -> Rows:
    """Draws sentences of made-up words, frequent and rare ones as in a language."""
    chance = random.Random(1)
    words = [
        "".join(chance.choices("etaoinshrdlu", k=chance.randint(2, 11))) for _ in range(_WORDS)
    ]
    weights = [1 / rank for rank in range(1, _WORDS + 1)]

    def sentence() -> str:
        count = min(60, max(3, round(chance.lognormvariate(2.9, 0.5))))
        return " ".join(chance.choices(words, weights, k=count))

    records = [{"source": sentence(), "target": sentence()} for _ in range(_PAIRS)]
    table = table_of_records("made up", records, range(1, _PAIRS + 1))
    return select_rows(table, DataConfig(), ("source", "target"))
