"""One step of LoRA on an encoder: lowkey beside transformers' Trainer with PEFT.

Both train the query and value maps of the same randomly drawn BERT, each through its own trainer,
on the same token ids. What must be the same is asserted before anything is timed.
"""

from collections.abc import Sequence
from typing import Any

import torch

from benchmarks.clock import Cost
from benchmarks.lora_rival import Rival
from benchmarks.lora_work import (
    GROUPED_FROM,
    LORA,
    OPTIMIZER,
    Scale,
    assert_equal_answers,
    assert_equal_work,
    describe,
    make_windows,
    our_model,
    products_of,
    train_ours,
)
from benchmarks.side_by_side import Benchmark, Claim, Report, Side, Window, measure, table
from lowkey.models.config import EncoderConfig

BERT_BASE = EncoderConfig(
    vocab_size=30_522, d_model=768, num_layers=12, num_heads=12, d_ff=3072, activation="gelu"
)


def run(*, quick: bool, passes: Sequence[str]) -> Report:
    """Measures; see ``side_by_side.measure``.

    Args:
        quick: Whether to measure few steps only.
        passes: Which clocks to use.

    Returns:
        The figures, as JSON values.
    """
    return measure(benchmark(quick=quick), passes=passes)


show = table


CLAIMS = [
    Claim("lowkey bf16", "Trainer + PEFT", 4.2),
    Claim("lowkey bf16, grouped", "tuned", 2.4),
    Claim("lowkey bf16, grouped", "tuned, eager attention"),
    Claim("lowkey fp32", "Trainer + PEFT"),
    Claim("lowkey fp32, grouped", "tuned fp32"),
]


def benchmark(*, quick: bool, encoder: EncoderConfig = BERT_BASE) -> Benchmark:
    """Prepares the comparison and asserts that it is one.

    Args:
        quick: Whether to measure few steps only: a look, not a result.
        encoder: Sizes of the encoder.

    Returns:
        What to measure.
    """
    scale = Scale(steps=2, repeats=2) if quick else Scale(steps=5, repeats=3)
    examples, windows = make_windows(scale, encoder.vocab_size)
    rival = Rival(encoder, LORA, examples, OPTIMIZER)
    lowkeys = {
        name: our_model(rival, encoder, dtype)
        for name, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32))
    }
    for model in lowkeys.values():
        assert_equal_work(model, rival)
    assert_equal_answers(lowkeys["fp32"], rival, examples)

    def ours(precision: str, plan: str, suffix: str = "") -> Side:
        def run(window: Window) -> Cost:
            return train_ours(lowkeys[precision], examples, window)

        what = "lowkey's Trainer, ragged batches"
        if precision == "bf16":
            what += "; frozen weights and activations bf16, trained weights fp32"
        return Side(f"lowkey {precision}{suffix}", precision, what, plan, run)

    def theirs(name: str, plan: str, *, bf16: bool, attention: str, what: str) -> Side:
        def run(window: Window) -> Cost:
            return rival.train(window, bf16=bf16, attention=attention)

        return Side(name, "bf16 autocast" if bf16 else "fp32", what, plan, run)

    grouped = "Trainer + PEFT, batches of one length"
    sides = [
        ours("bf16", "mixed"),
        ours("fp32", "mixed"),
        theirs(
            "Trainer + PEFT",
            "mixed",
            bf16=False,
            attention="sdpa",
            what="Trainer + PEFT as users run it: padded to the longest of the batch",
        ),
        ours("bf16", "grouped", ", grouped"),
        ours("fp32", "grouped", ", grouped"),
        theirs("tuned", "grouped", bf16=True, attention="sdpa", what=grouped),
        theirs(
            "tuned, eager attention",
            "grouped",
            bf16=True,
            attention="eager",
            what=f"{grouped}, attention without torch's fused kernel",
        ),
        theirs("tuned fp32", "grouped", bf16=False, attention="sdpa", what=grouped),
    ]
    settings = _settings(encoder, scale, examples.lengths, quick=quick)
    return Benchmark("lora_step", settings, sides, CLAIMS, windows, products_of(encoder))


def _settings(encoder: EncoderConfig, scale: Scale, lengths: Any, *, quick: bool) -> Report:
    """Says what was compared, for the reader of the result."""
    return {
        "model": encoder.model_dump(),
        "lora": LORA.model_dump(),
        "optimizer": {"name": "AdamW", **OPTIMIZER},
        "labels": 2,
        "batch_size": scale.batch_size,
        "sentence_tokens": describe(lengths),
        "steps_per_repeat": scale.steps,
        "repeats": scale.repeats,
        "quick": quick,
        "mixed": "batches drawn at random",
        "grouped": f"batches cut from {GROUPED_FROM} sorted by length, spread over all lengths",
    }
