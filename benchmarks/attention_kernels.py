"""Attention forward and backward: our kernels beside torch's, the evidence for ``choose_kernel``.

One layer of self-attention over 32 ragged sentences, weights dropped at 0.1. torch's fused
attention needs them padded and masked; padding and unpadding is part of its cost, as it would be
in a ragged model.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.machine import cores, provenance
from lowkey.nn.kernels import KERNELS
from lowkey.nn.layout import SequenceLayout

_SENTENCES = 32


@dataclass(frozen=True)
class Setting:
    """One case.

    Attributes:
        num_heads: Heads.
        d_head: Width of each.
        median: Median length of the sentences; they are lognormal as in ``lora_step``.
        dropout: Probability that an attention weight is dropped.
        precision: bf16 or fp32.
    """

    num_heads: int
    d_head: int
    median: int
    dropout: float
    precision: str


def run(*, quick: bool, passes: tuple[str, ...]) -> dict[str, Any]:
    """Times every kernel in every case.

    Args:
        quick: Whether to time few cases a few times.
        passes: Whether on one core, on all, or both.

    Returns:
        The figures, as JSON values.
    """
    medians = (25, 100) if quick else (10, 25, 50, 100, 200)
    settings = [
        Setting(heads, 64, median, dropout, precision)
        for precision in ("bf16", "fp32")
        for heads in (4, 12)
        for median in medians
        for dropout in ((0.1,) if quick else (0.1, 0.0))
    ]
    report: dict[str, Any] = {"benchmark": "attention_kernels", **provenance(), "passes": {}}
    report["settings"] = {"sentences": _SENTENCES, "quick": quick}
    threads = torch.get_num_threads()
    for name in passes:
        one = name == "one core"
        torch.set_num_threads(1 if one else cores())
        clock = time.process_time if one else time.perf_counter
        cases = [
            {**asdict(s), "milliseconds": _time_all(s, 3 if quick else 9, clock)} for s in settings
        ]
        report["passes"][name] = {"threads": torch.get_num_threads(), "cases": cases}
    torch.set_num_threads(threads)
    return report


def _time_all(setting: Setting, repeats: int, clock: Callable[[], float]) -> dict[str, float]:
    """Times all kernels by turns; medians over the repeats."""
    rng = np.random.default_rng(setting.median)
    lengths = np.exp(rng.normal(np.log(setting.median), 0.6, _SENTENCES)).round().clip(4, 512)
    layout = SequenceLayout(lengths.astype(np.int64).tolist())
    dtype = torch.bfloat16 if setting.precision == "bf16" else torch.float32
    shape = (layout.num_tokens, setting.num_heads * setting.d_head)
    generator = torch.Generator().manual_seed(0)
    q, k, v, grad = (torch.randn(shape, generator=generator).to(dtype) for _ in range(4))
    inputs = [x.requires_grad_() for x in (q, k, v)]

    def step(kernel: Callable[..., Tensor]) -> None:
        output = kernel(
            *inputs,
            layout,
            layout,
            num_heads=setting.num_heads,
            dropout=setting.dropout,
            generator=generator,
        )
        torch.autograd.grad(output, inputs, grad)

    kernels = {**KERNELS, "torch": fused}
    seconds: dict[str, list[float]] = {name: [] for name in kernels}
    for repeat in range(repeats + 1):
        for name, kernel in kernels.items():
            start = clock()
            step(kernel)
            if repeat:  # the first one warms up
                seconds[name].append(clock() - start)
    return {name: round(1e3 * statistics.median(values), 3) for name, values in seconds.items()}


def fused(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    layout: SequenceLayout,
    memory_layout: SequenceLayout,
    *,
    num_heads: int,
    causal: bool = False,
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Computes attention with torch's fused kernel; takes what a kernel of lowkey takes.

    Args:
        q: Queries.
        k: Keys.
        v: Values.
        layout: Sentences of the queries.
        memory_layout: Sentences of the keys.
        num_heads: Number of heads.
        causal: Not offered.
        dropout: Probability that a weight is dropped.
        generator: Ignored: torch draws from its global state.

    Returns:
        Mixtures of values.

    Raises:
        ValueError: If causal attention is asked for.
    """
    if causal:
        raise ValueError("only measured without a causal mask")
    layouts = (layout, memory_layout, memory_layout)
    padded = [
        each.pad(x).unflatten(-1, (num_heads, -1)).transpose(1, 2)
        for x, each in zip((q, k, v), layouts, strict=True)
    ]
    mask = memory_layout.mask()[:, None, None, :]
    heads = F.scaled_dot_product_attention(*padded, attn_mask=mask, dropout_p=dropout)
    return layout.unpad(heads.transpose(1, 2).flatten(2))


def show(report: dict[str, Any]) -> str:
    """Writes the figures for people.

    Args:
        report: What ``run`` gave.

    Returns:
        A table.
    """
    lines = [f"attention on {report['machine']['processor']}, milliseconds forward and backward"]
    for name, part in report["passes"].items():
        lines += ["", f"{name}, {part['threads']} threads"]
        lines.append(
            f"  {'precision':<10}{'heads':>6}{'median':>8}{'dropout':>9}"
            f"{'reference':>11}{'grouped':>9}{'torch':>8}"
        )
        for case in part["cases"]:
            times = case["milliseconds"]
            lines.append(
                f"  {case['precision']:<10}{case['num_heads']:>6}{case['median']:>8}"
                f"{case['dropout']:>9}{times['reference']:>11.1f}{times['grouped']:>9.1f}"
                f"{times['torch']:>8.1f}"
            )
    return "\n".join(lines)
