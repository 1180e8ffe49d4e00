"""Draws the pictures of the concept pages: ``python docs/pictures.py``.

Everything drawn is computed here by the package itself, from fixed seeds. ``tests/test_docs.py``
draws them again and compares.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import inject
from lowkey.models.config import EncoderConfig, TransformerConfig
from lowkey.models.encoder import Encoder
from lowkey.models.heads import SequenceClassifier
from lowkey.models.transformer import Transformer
from lowkey.nn.attention import MultiHeadAttention
from lowkey.nn.layout import SequenceLayout
from lowkey.nn.positions import sinusoidal_table
from lowkey.reports import heatmaps
from lowkey.reports.figures import GRID, INK, MUTED, SERIES, new_figure, styled, svg

FOLDER = Path(__file__).parent / "concepts" / "pictures"
SENTENCES = (("the", "cat", "sat"), ("dogs", "bark"), ("it", "was", "late", "at", "night"))


@styled
def embeddings() -> Figure:
    """How long token vectors and positional encodings are, with the factor and without it."""
    widths = np.array([16, 32, 64, 128, 256, 512, 1024])
    torch.manual_seed(0)
    tokens = [torch.randn(1000, width) * width**-0.5 for width in widths.tolist()]
    plain = np.array([table.norm(dim=1).mean().item() for table in tokens])
    scaled = plain * np.sqrt(widths)
    position = np.array(
        [sinusoidal_table(100, w).norm(dim=1).mean().item() for w in widths.tolist()]
    )
    figure = new_figure(9.0, 3.2)
    lengths, shares = figure.subplots(1, 2)
    lines = [("position", position), ("token, scaled", scaled), ("token, as it is", plain)]
    for (name, values), colour in zip(lines, SERIES, strict=False):
        _line(lengths, widths, values, name, colour)
    lengths.set_yscale("log", base=2)
    lengths.set_yticks([1, 4, 16], ["1", "4", "16"])
    lengths.set_title("length of the vectors")
    for name, token, colour in (("scaled", scaled, SERIES[1]), ("as it is", plain, SERIES[2])):
        _line(shares, widths, 100 * token**2 / (token**2 + position**2), name, colour)
    shares.set_ylim(0, 100)
    shares.set_title("the token's part of the sum, in %")
    for axes in (lengths, shares):
        axes.set_xscale("log", base=2)
        axes.set_xticks(widths, [str(width) for width in widths])
        axes.set_xlabel("d_model")
        axes.grid(axis="y")
    return figure


def positions() -> Figure:
    """The table of sinusoidal positions."""
    return heatmaps.positions(sinusoidal_table(64, 64).numpy())


@styled
def layout() -> Figure:
    """The same batch as other libraries hold it, and as this one does."""
    batch = SequenceLayout([len(sentence) for sentence in SENTENCES])
    words = [word for sentence in SENTENCES for word in sentence]
    figure = new_figure(9.0, 2.6)
    padded, flat = figure.subplots(2, 1, height_ratios=[3, 1])
    owners = batch.pad(batch.sentence_ids, value=-1.0).tolist()
    rows = [[*sentence, *[""] * (batch.max_length - len(sentence))] for sentence in SENTENCES]
    _cells(padded, rows, owners)
    padded.set_title(f"padded: {batch.mask().numel()} cells for {batch.num_tokens} tokens")
    _cells(flat, [words], [batch.sentence_ids.tolist()])
    flat.set_title(f"ragged: {batch.num_tokens} rows, and the lengths {batch.lengths.tolist()}")
    return figure


def masks() -> Figure:
    """Where a token may look: its sentence, its sentence so far, never another sentence."""
    torch.manual_seed(3)
    attention = MultiHeadAttention(d_model=16, num_heads=1)
    words = [word for sentence in SENTENCES for word in sentence]
    batch = SequenceLayout([len(sentence) for sentence in SENTENCES])
    x = torch.randn(batch.num_tokens, 16)
    drawn = []
    for name, causal in (("a batch, whole sentences", False), ("the same batch, causal", True)):
        with torch.no_grad():
            weights = [one[0] for one in attention.weights(x, batch, causal=causal)]
        together = torch.block_diag(*weights)[None].numpy()
        drawn.append(heatmaps.AttentionMap(name, words, words, together))
    return heatmaps.attention(drawn, mean=True)


@styled
def blocks() -> Figure:
    """How large the gradient is in each decoder block of a new model, post- and pre-norm."""
    figure = new_figure(6.5, 3.2)
    axes = figure.add_subplot()
    for norm, colour in (("post", SERIES[1]), ("pre", SERIES[0])):
        norms = np.mean([_gradient_norms(norm, seed) for seed in range(3)], axis=0)
        _line(axes, np.arange(1, len(norms) + 1), norms, f"{norm}-norm", colour)
    axes.set_ylim(bottom=0)
    axes.set_title("length of the gradient of feed_forward.down, before the first step")
    axes.set_xticks(range(1, 13))
    axes.set_xlabel("decoder block")
    axes.grid(axis="y")
    return figure


@styled
def lora() -> Figure:
    """What one training step of a small BERT keeps in memory and computes, by method."""
    methods = ("full", "lora", "head")
    costs = [_cost_of_a_step(method) for method in methods]
    parts = ("weights", "gradients", "optimizer", "activations")
    figure = new_figure(9.0, 2.4)
    memory, work = figure.subplots(1, 2, width_ratios=[3, 2])
    left = np.zeros(len(methods))
    for part, colour in zip(parts, (SERIES[6], SERIES[4], SERIES[1], SERIES[5]), strict=True):
        mib = np.array([cost[part] for cost in costs]) / 2**20
        memory.barh(methods, mib, left=left, color=colour, height=0.6, label=part)
        left += mib
    memory.set_title("memory, MiB")
    memory.legend(loc="upper right", frameon=False, fontsize=8, bbox_to_anchor=(1.0, 0.62))
    flops = [cost["flops"] / 1e9 for cost in costs]
    bars = work.barh(methods, flops, color=SERIES[0], height=0.6)
    work.bar_label(bars, [f"{flops_of / flops[0]:.0%}" for flops_of in flops], padding=4)
    work.set_title("arithmetic, billions of operations")
    work.margins(x=0.15)
    for axes in (memory, work):
        axes.invert_yaxis()
        axes.grid(axis="x")
        axes.tick_params(axis="y", labelcolor=INK)
    return figure


def _line(axes: Axes, x: np.ndarray, y: np.ndarray, name: str, colour: str) -> None:
    """Draws a curve and writes its name behind its end."""
    axes.plot(x, y, "o-", color=colour, markersize=4)
    axes.annotate(
        name,
        (1.015, y[-1]),
        xycoords=("axes fraction", "data"),
        color=colour,
        va="center",
        fontsize=8.5,
        fontweight="bold",
        annotation_clip=False,
    )


def _cells(axes: Axes, words: list[list[str]], owners: list[list[int]]) -> None:
    """Draws one cell per word, in the colour of its sentence; empty ones are padding."""
    colours = [to_rgb(colour) for colour in SERIES[:3]]
    tints = {-1: (1.0, 1.0, 1.0)} | {
        i: tuple(0.35 * part + 0.65 for part in colour) for i, colour in enumerate(colours)
    }
    axes.imshow([[tints[owner] for owner in row] for row in owners], aspect="auto")
    for row, line in enumerate(words):
        for column, word in enumerate(line):
            colour = INK if word else MUTED
            axes.text(column, row, word or "padding", ha="center", va="center", color=colour)
    axes.set_xticks(np.arange(len(words[0]) + 1) - 0.5, [])
    axes.set_yticks(np.arange(len(words) + 1) - 0.5, [])
    axes.grid(color=GRID)
    axes.spines[:].set_visible(False)


def _gradient_norms(norm: str, seed: int) -> list[float]:
    """Makes a Transformer and asks the loss of random pairs for its gradients."""
    torch.manual_seed(seed)
    config = TransformerConfig(
        source_vocab_size=50,
        target_vocab_size=50,
        d_model=64,
        num_heads=4,
        d_ff=256,
        num_encoder_layers=2,
        num_decoder_layers=12,
        norm=norm,
    )
    model = Transformer(config).eval()  # without dropout
    batch = SequenceLayout([10] * 8)
    source, target, after = torch.randint(50, (3, batch.num_tokens))
    F.cross_entropy(model(source, batch, target, batch), after).backward()
    return [block.feed_forward.down.weight.grad.norm().item() for block in model.decoder_blocks]


def _cost_of_a_step(method: str) -> dict[str, float]:
    """Counts the bytes that a step keeps and the operations of its matrix products."""
    torch.manual_seed(0)
    sizes = EncoderConfig(vocab_size=30_522, d_model=384, num_layers=6, num_heads=12, d_ff=1536)
    model = SequenceClassifier(Encoder(sizes), num_labels=2)
    if method == "lora":
        inject(model, LoRAConfig(r=8))
    elif method == "head":
        model.requires_grad_(False)
        model.classifier.requires_grad_(True)
    trained = 4 * sum(p.numel() for p in model.parameters() if p.requires_grad)
    batch = SequenceLayout([25] * 32)
    ids = torch.randint(sizes.vocab_size, (batch.num_tokens,))
    with FlopCounterMode(display=False) as counter:
        activations = _bytes_kept(model, lambda: model(ids, batch).sum().backward())
    return {
        "weights": 4 * sum(p.numel() for p in model.parameters()),
        "gradients": trained,
        "optimizer": 2 * trained,  # Adam's two means
        "activations": activations,
        "flops": counter.get_total_flops(),
    }


def _bytes_kept(model: nn.Module, step: Callable[[], None]) -> int:
    """Counts what the forward pass keeps for the backward pass, the parameters left out."""
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def keep(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        step()
    return sum(kept.values())


PICTURES = (embeddings, positions, layout, masks, blocks, lora)


def main(folder: Path = FOLDER) -> None:
    """Draws all pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for draw in PICTURES:
        (folder / f"{draw.__name__}.svg").write_text(svg(draw()), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
