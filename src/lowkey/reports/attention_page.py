"""Attention weights as a page to explore: every head of every layer, with its tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lowkey.reports.figures import pixels_png, png
from lowkey.reports.heatmaps import AttentionMap, attention
from lowkey.reports.page import render
from lowkey.reports.quantities import quantity
from lowkey.reports.visible import one_line

NOTE = (
    "Each row is a token that asks; the darker a cell, the more of that token's attention goes "
    "to the token above the column. Point at a row to read its shares. Attention shows where "
    "information could flow, it is not an explanation of the model's answer."
)
_CELL, _LETTER, _LONGEST = 20, 7, 14  # in units of the drawing, which the page scales
_OPEN_HEADS = 24
_WIDE_TOKENS = 12
_MOST_PANELS = 96


@dataclass(frozen=True)
class _KeyView:
    """A column of a panel."""

    label: str
    x: float


@dataclass(frozen=True)
class _QueryView:
    """A row of a panel; the title lists where the token looks."""

    label: str
    y: int
    title: str


@dataclass(frozen=True)
class _PanelView:
    """One matrix, with the measures of its drawing."""

    title: str
    image: bytes
    queries: list[_QueryView]
    keys: list[_KeyView]
    upright: bool
    cell: int
    left: int
    top: int
    inner_width: int
    inner_height: int
    width: int
    height: int


@dataclass(frozen=True)
class _LayerView:
    """One fold of the page."""

    name: str
    remark: str
    open: bool
    wide: bool
    panels: list[_PanelView]


def attention_page(
    maps: Sequence[AttentionMap], *, title: str = "Attention", subtitle: str = ""
) -> str:
    """Lays attention weights out as one HTML file without scripts.

    Args:
        maps: The layers, in the order of the model.
        title: The page's heading.
        subtitle: What was looked at, such as the sentence.

    Returns:
        The whole HTML document. Layers are folds; with many heads only the last one is open.
    """
    heads = sum(len(layer.weights) for layer in maps)
    layers = [
        _layer(layer, is_open=heads <= _OPEN_HEADS or index == len(maps) - 1)
        for index, layer in enumerate(maps)
    ]
    return render("attention.html.j2", title=title, subtitle=subtitle, note=NOTE, layers=layers)


def attention_png(maps: Sequence[AttentionMap]) -> bytes:
    """Draws attention weights as one picture: a row for each layer, a column for each head.

    A model of very many heads is drawn as the mean of each layer, which can still be read.

    Args:
        maps: The layers, in the order of the model.

    Returns:
        The content of a PNG file.
    """
    heads = [len(layer.weights) for layer in maps]
    mean = sum(heads) > _MOST_PANELS
    columns = 4 if mean or len(maps) == 1 else max(heads, default=1)
    longest = max((len(layer.keys) for layer in maps), default=1)
    # A fifth of an inch for each token, and room for the names.
    width = min(40.0, columns * max(1.6, 0.2 * longest + 0.7))
    return png(attention(maps, mean=mean, width=width))


def _layer(layer: AttentionMap, *, is_open: bool) -> _LayerView:
    scale = max(1e-9, float(layer.weights.max(initial=0.0)))
    panels = [_panel(layer, head, f"head {i}", scale) for i, head in enumerate(layer.weights, 1)]
    if len(panels) > 1:
        mean = layer.weights.mean(axis=0)
        panels.insert(0, _panel(layer, mean, "mean of all heads", scale))
    count = len(layer.weights)
    remark = f"{count} {'head' if count == 1 else 'heads'}, darkest = {quantity(scale, 'share')}"
    return _LayerView(layer.name, remark, is_open, len(layer.keys) > _WIDE_TOKENS, panels)


def _panel(layer: AttentionMap, weights: np.ndarray, title: str, scale: float) -> _PanelView:
    keys = [one_line(token, _LONGEST) for token in layer.keys]
    queries = [one_line(token, _LONGEST) for token in layer.queries]
    longest_key = max(map(len, keys), default=0)
    upright = longest_key > 3
    left = _LETTER * max(map(len, queries), default=0) + 12
    top = _LETTER * longest_key + 10 if upright else 22
    inner_width, inner_height = _CELL * len(keys), _CELL * len(queries)
    # The last of the slanted names leans over the right edge.
    overhang = _LETTER * longest_key // 2 if upright else 2
    return _PanelView(
        title=title,
        image=pixels_png(weights / scale),
        queries=[
            _QueryView(label, top + _CELL * row, _shares(label, weights[row], keys))
            for row, label in enumerate(queries)
        ],
        keys=[_KeyView(label, left + _CELL * (i + 0.5)) for i, label in enumerate(keys)],
        upright=upright,
        cell=_CELL,
        left=left,
        top=top,
        inner_width=inner_width,
        inner_height=inner_height,
        width=left + inner_width + overhang,
        height=top + inner_height + 2,
    )


def _shares(query: str, weights: np.ndarray, keys: Sequence[str]) -> str:
    """Says in words where a token looks most."""
    order = np.argsort(-weights, kind="stable")[:5]
    looks = [f"{keys[i]} {quantity(float(weights[i]), 'share')}" for i in order]
    return f"{query} looks at: " + ", ".join(looks)
