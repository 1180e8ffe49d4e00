"""One training step of a small Transformer: lowkey beside torch.nn.Transformer.

Both learn the same randomly drawn pairs with the same sizes, dropouts, smoothing, optimizer and
clipping; lowkey through its own trainer, the rival through the loop people write around it.
"""

from collections.abc import Sequence

import torch

from benchmarks.clock import Cost
from benchmarks.side_by_side import Benchmark, Claim, Report, Side, Window, measure, table
from benchmarks.translation_rival import Rival
from benchmarks.translation_work import (
    OPTIMIZER,
    SMOOTHING,
    assert_equal_work,
    describe,
    make_windows,
    products_of,
    train_ours,
)
from lowkey.models.config import TransformerConfig
from lowkey.models.transformer import Transformer

SMALL = TransformerConfig(
    source_vocab_size=8000,
    target_vocab_size=8000,
    d_model=256,
    num_heads=4,
    num_encoder_layers=4,
    num_decoder_layers=4,
    d_ff=1024,
    dropout=0.1,
    attention_dropout=0.1,
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
    Claim("lowkey bf16", "nn.Transformer", 3.5),
    Claim("lowkey bf16, bucketed", "tuned", 1.25),
    Claim("lowkey fp32", "nn.Transformer"),
    Claim("lowkey fp32, bucketed", "tuned fp32"),
]


def benchmark(*, quick: bool, config: TransformerConfig = SMALL) -> Benchmark:
    """Prepares the comparison and asserts that it is one.

    Args:
        quick: Whether to measure few steps only: a look, not a result.
        config: Sizes of both models.

    Returns:
        What to measure.
    """
    steps, repeats, batch_tokens = (2, 2, 4096) if quick else (4, 3, 4096)
    pairs, windows = make_windows(config, steps, repeats, batch_tokens)
    rival = Rival(config, pairs, OPTIMIZER, SMOOTHING)
    lowkeys = {
        name: Transformer(config).compute_in(dtype).train()
        for name, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32))
    }
    for model in lowkeys.values():
        assert_equal_work(model, rival)

    def ours(precision: str, plan: str, suffix: str = "") -> Side:
        def run(window: Window) -> Cost:
            return train_ours(lowkeys[precision], pairs, window)

        what = "lowkey's Trainer, ragged batches"
        if precision == "bf16":
            what += "; activations bf16, weights fp32"
        return Side(f"lowkey {precision}{suffix}", precision, what, plan, run)

    def theirs(name: str, plan: str, *, bf16: bool, what: str) -> Side:
        def run(window: Window) -> Cost:
            return rival.train(window, bf16=bf16)

        return Side(name, "bf16 autocast" if bf16 else "fp32", what, plan, run)

    bucketed = "nn.Transformer, the buckets of lengths that lowkey plans"
    sides = [
        ours("bf16", "mixed"),
        ours("fp32", "mixed"),
        theirs(
            "nn.Transformer",
            "mixed",
            bf16=False,
            what="nn.Transformer as users write it: padded to the longest of the batch",
        ),
        ours("bf16", "bucketed", ", bucketed"),
        ours("fp32", "bucketed", ", bucketed"),
        theirs("tuned", "bucketed", bf16=True, what=bucketed),
        theirs("tuned fp32", "bucketed", bf16=False, what=bucketed),
    ]
    settings = {
        "model": config.model_dump(),
        "optimizer": {"name": "AdamW", **OPTIMIZER},
        "label_smoothing_factor": SMOOTHING,
        "batch_tokens": batch_tokens,
        "source_tokens": describe(pairs.sources.lengths),
        "target_tokens": describe(pairs.target_labels.lengths),
        "steps_per_repeat": steps,
        "repeats": repeats,
        "quick": quick,
        "mixed": "as many pairs in each batch, drawn at random",
        "bucketed": "like lengths together, within a budget of source and target tokens",
    }
    return Benchmark("translation_step", settings, sides, CLAIMS, windows, products_of(config))
