"""Pictures of matrices: attention weights, positional encodings and confusions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lowkey.reports.figures import BALANCE, GRID, HEAT, INK, MUTED, SERIES, new_figure, styled
from lowkey.reports.visible import one_line, token_label

AttentionKind = Literal["encoder", "decoder", "cross"]

_MOST_COLUMNS = 4


@dataclass(frozen=True)
class AttentionMap:
    """Where the queries of one sentence looked, in every head of one layer.

    Attributes:
        name: The layer, such as ``decoder.blocks.0.cross_attention``.
        queries: The tokens that ask, in order.
        keys: The tokens that answer, in order.
        weights: Shares of attention, (heads, queries, keys); each row sums to one.
        numbers: The numbers of the heads, from 1; all of the layer's where it is empty.
    """

    name: str
    queries: Sequence[str]
    keys: Sequence[str]
    weights: Float[np.ndarray, "heads queries keys"]
    numbers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Checks that every row and column has its token, and numbers the heads."""
        if self.weights.shape[1:] != (len(self.queries), len(self.keys)):
            raise ValueError(
                f"{self.name}: weights of shape {self.weights.shape} for {len(self.queries)} "
                f"queries and {len(self.keys)} keys"
            )
        if not self.numbers:
            object.__setattr__(self, "numbers", tuple(range(1, len(self.weights) + 1)))

    @property
    def kind(self) -> AttentionKind:
        """Who looks at whom: the encoder or the decoder at itself, or (cross) one at the other."""
        if self.name.endswith("cross_attention"):
            return "cross"
        return "decoder" if self.name.startswith("decoder") else "encoder"

    @property
    def layer(self) -> int:
        """The number of the block, from 1."""
        found = re.search(r"\.(\d+)(\.|$)", self.name)
        return int(found[1]) + 1 if found else 1


@styled
def attention(maps: Sequence[AttentionMap], *, mean: bool = False, width: float = 9.0) -> Figure:
    """Draws which keys each query looks at: one panel for each head, or each layer's mean.

    Args:
        maps: The layers to draw; several layers with all their heads make one row each.
        mean: Whether to draw the mean over each layer's heads alone.
        width: Width of the picture in inches of 96 pixels.

    Returns:
        The figure.
    """
    panels = [panel for layer in maps for panel in _panels(layer, mean=mean)]
    several = len(maps) > 1 and not mean
    columns = max((len(layer.weights) for layer in maps), default=1)
    columns = max(1, columns if several else min(_MOST_COLUMNS, len(panels)))
    ratio = max((len(m.queries) / max(1, len(m.keys)) for m in maps), default=1.0)
    side = width / columns
    rows = max(1, -(-len(panels) // columns))
    figure = new_figure(width, rows * (side * min(2.0, max(0.4, ratio)) + 0.4))
    grid = figure.add_gridspec(rows, columns)
    for index, (title, weights, layer) in enumerate(panels):
        row, column = divmod(index, columns)
        axes = figure.add_subplot(grid[row, column])
        # One scale for all heads of a layer, so that a head that looks everywhere looks pale.
        top = max(1e-9, float(layer.weights.max(initial=0.0)))
        axes.imshow(weights, cmap=HEAT, vmin=0, vmax=top, aspect="auto")
        _name_cells(axes, layer.queries, layer.keys, 0.8 * side)
        axes.set_title(one_line(title, 40), color=MUTED, fontweight="normal", size=8.5)
        if several and column == 0:
            axes.set_ylabel("\n".join(one_line(part, 28) for part in layer.name.rsplit(".", 1)))
    return figure


@styled
def confusion(
    counts: Num[np.ndarray, "labels labels"], labels: Sequence[str], width: float = 3.8
) -> Figure:
    """Draws how often each true label was given each label, as shares of the true one.

    Args:
        counts: Examples by true label (rows) and predicted label (columns).
        labels: Their names.
        width: Width of the picture in inches of 96 pixels.

    Returns:
        The figure.
    """
    figure = new_figure(width, 0.92 * width)
    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap=HEAT, vmin=0, vmax=1.2)
    if len(labels) <= 12:
        for (row, column), share in np.ndenumerate(shares):
            axes.text(
                column,
                row,
                f"{round(float(counts[row, column])):,}",
                ha="center",
                va="center",
                color="white" if share > 0.5 else INK,
            )
    _name_cells(axes, labels, labels, 0.75 * width)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    return figure


@styled
def positions(encoding: Float[np.ndarray, "positions d_model"], width: float = 9.0) -> Figure:
    """Draws a positional encoding: the whole table, and a few of its dimensions as waves.

    Args:
        encoding: One row for each position.
        width: Width of the picture in inches of 96 pixels.

    Returns:
        The figure.
    """
    figure = new_figure(width, 3.3)
    table, waves = figure.subplots(1, 2)
    image = table.imshow(encoding, cmap=BALANCE, vmin=-1, vmax=1, aspect="auto")
    table.set_title("the whole table")
    table.set(xlabel="dimension", ylabel="position")
    table.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=table, ticks=[-1, 0, 1], fraction=0.04, pad=0.02)
    bar.outline.set_visible(False)
    d_model = encoding.shape[1]
    chosen = sorted({0, d_model // 8, d_model // 4, d_model // 2})
    for place, dimension in enumerate(chosen):
        # One wave above the other: crossing lines could not be told apart.
        shift = 2.5 * (len(chosen) - 1 - place)
        waves.axhline(shift, color=GRID, linewidth=0.8)
        waves.plot(encoding[:, dimension] + shift, color=SERIES[place], linewidth=1.6)
        waves.annotate(
            f"dimension {dimension}",
            (1.015, shift),
            color=SERIES[place],
            size=8.5,
            xycoords=("axes fraction", "data"),
            va="center",
            fontweight="bold",
            annotation_clip=False,
        )
    waves.set_title("a few of its dimensions")
    waves.set(xlabel="position", yticks=[], xlim=(0, max(1, len(encoding) - 1)))
    waves.spines["left"].set_visible(False)
    return figure


def _panels(layer: AttentionMap, *, mean: bool) -> list[tuple[str, np.ndarray, AttentionMap]]:
    """Lists what to draw of a layer, with the title of each panel."""
    if mean:
        return [(layer.name, layer.weights.mean(axis=0), layer)]
    heads = zip(layer.numbers, layer.weights, strict=True)
    return [(f"head {number}", head, layer) for number, head in heads]


def _name_cells(axes: Axes, rows: Sequence[str], columns: Sequence[str], width: float) -> None:
    """Puts words at a matrix's rows and columns, and thin lines between its cells."""
    down, across = ([token_label(name) for name in names] for names in (rows, columns))
    cell = width / max(1, len(across))
    size = min(8.5, max(3.0, 0.8 * 72 * cell))
    # A letter is about two thirds as wide as its size, which is in 72nds of an inch.
    upright = max((len(name) for name in across), default=0) * size / 72 * 0.65 > 0.95 * cell
    axes.set_xticks(range(len(across)), across, rotation=90 if upright else 0, color=INK, size=size)
    axes.set_yticks(range(len(down)), down, color=INK, size=size)
    axes.set_xticks(np.arange(len(across) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(down) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=GRID, linewidth=0.5)
    axes.tick_params(which="minor", size=0)
    axes.spines[:].set_visible(False)
