"""Attention weights as a page to explore: every head of every layer, with its tokens."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from lowkey.reports.figures import pixels_png, png, svg
from lowkey.reports.heatmaps import AttentionMap, attention
from lowkey.reports.page import render
from lowkey.reports.quantities import quantity
from lowkey.reports.visible import token_label

NOTE = (
    "Each row is a token that asks; the stronger a cell, the more of that token's attention goes "
    "to the token above the column. Attention shows where information could flow, it is not an "
    "explanation of the model's answer."
)
_NAMES = {
    "encoder": "Encoder, layer {}",
    "decoder": "Decoder, layer {}",
    "cross": "Decoder to encoder, layer {}",
}
_LETTER = 7  # in units of the drawing, which the page scales
_OPEN_HEADS = 24
_WIDE_TOKENS, _VAST_TOKENS = 12, 32
_MOST_PANELS = 96
_SCALE = 2**16 - 1


@dataclass(frozen=True)
class _LabelView:
    """A token beside a row or above a column, and where it stands."""

    label: str
    place: float


@dataclass(frozen=True)
class _FrameView:
    """What the heads of one kind share: the tokens and the measures of the drawing."""

    id: str
    queries: list[_LabelView]
    keys: list[_LabelView]
    upright: bool
    cell: int
    left: int
    top: int
    inner_width: int
    inner_height: int
    width: int
    height: int


@dataclass(frozen=True)
class _PanelView:
    """One matrix: as a picture, in numbers, and a line of words for each row."""

    number: str
    title: str
    image: bytes
    weights: str
    rows: list[str]


@dataclass(frozen=True)
class _LayerView:
    """One fold of the page."""

    kind: str
    number: int
    name: str
    remark: str
    open: bool
    size: str
    frame: _FrameView
    panels: list[_PanelView]


def attention_page(
    maps: Sequence[AttentionMap], *, title: str = "Attention", subtitle: str = ""
) -> str:
    """Lays attention weights out as one HTML file that loads nothing.

    It can be read as it is; a script, the only one that the page allows, lets the reader filter
    and look at single weights. Each picture carries its weights in ``data-weights``: base64 of 16
    bits a weight, row by row, the most significant byte first, where 65535 stands for one.

    Args:
        maps: The layers, in the order of the model.
        title: The page's heading.
        subtitle: What was looked at, such as the sentence.

    Returns:
        The whole HTML document. Layers are folds; with many heads only the last one is open.
    """
    heads = sum(len(layer.weights) for layer in maps)
    frames: dict[tuple[tuple[str, ...], tuple[str, ...]], _FrameView] = {}
    layers = []
    for index, layer in enumerate(maps):
        tokens = (tuple(layer.queries), tuple(layer.keys))
        frame = frames.setdefault(tokens, _frame(*tokens, identity=f"labels-{len(frames) + 1}"))
        is_open = heads <= _OPEN_HEADS or index == len(maps) - 1
        layers.append(_layer(layer, frame, is_open=is_open))
    numbers = sorted({number for layer in maps for number in layer.numbers})
    names = {"encoder": "encoder", "decoder": "decoder", "cross": "cross (decoder to encoder)"}
    return render(
        "attention.html.j2",
        title=title,
        subtitle=subtitle,
        note=NOTE,
        kinds=[(kind, names[kind]) for kind in names if kind in {layer.kind for layer in maps}],
        layer_numbers=[(number, number) for number in sorted({layer.layer for layer in maps})],
        head_numbers=[("mean", "mean"), *((number, number) for number in numbers)],
        frames=list(frames.values()),
        layers=layers,
        script_hash=script_hash(),
    )


def script_hash() -> str:
    """Computes the hash by which the page allows its one script and no other.

    Returns:
        SHA-256 in base64, as a content security policy writes it.
    """
    return base64.b64encode(hashlib.sha256(render("attention.js").encode()).digest()).decode()


def attention_png(maps: Sequence[AttentionMap]) -> bytes:
    """Draws attention weights as one picture: a row for each layer, a column for each head.

    A model of very many heads is drawn as the mean of each layer, which can still be read.

    Args:
        maps: The layers, in the order of the model.

    Returns:
        The content of a PNG file.
    """
    return png(_figure(maps))


def attention_svg(maps: Sequence[AttentionMap]) -> str:
    """Draws what ``attention_png`` draws, as vectors.

    Args:
        maps: The layers, in the order of the model.

    Returns:
        The content of an SVG file.
    """
    return svg(_figure(maps))


def _figure(maps: Sequence[AttentionMap]) -> Figure:
    heads = [len(layer.weights) for layer in maps]
    mean = sum(heads) > _MOST_PANELS
    columns = 4 if mean or len(maps) == 1 else max(heads, default=1)
    longest = max((len(layer.keys) for layer in maps), default=1)
    # A fifth of an inch for each token, and room for the names.
    width = min(40.0, columns * max(1.6, 0.2 * longest + 0.7))
    return attention(maps, mean=mean, width=width)


def _layer(layer: AttentionMap, frame: _FrameView, *, is_open: bool) -> _LayerView:
    scale = max(1e-9, float(layer.weights.max(initial=0.0)))
    keys = [key.label for key in frame.keys]
    queries = [query.label for query in frame.queries]
    heads = [
        (str(number), f"head {number}", head)
        for number, head in zip(layer.numbers, layer.weights, strict=True)
    ]
    count = len(heads)
    if count > 1:
        heads.insert(0, ("mean", "mean of all heads", layer.weights.mean(axis=0)))
    panels = [
        _PanelView(
            number=number,
            title=title,
            image=pixels_png(weights / scale),
            weights=_packed(weights),
            rows=[_shares(query, weights[row], keys) for row, query in enumerate(queries)],
        )
        for number, title, weights in heads
    ]
    plural = "head" if count == 1 else "heads"
    remark = f"{layer.name}, {count} {plural}, strongest = {quantity(scale, 'share')}"
    longest = max(len(keys), len(queries))
    size = " vast" if longest > _VAST_TOKENS else " wide" if longest > _WIDE_TOKENS else ""
    name = _NAMES[layer.kind].format(layer.layer)
    return _LayerView(layer.kind, layer.layer, name, remark, is_open, size, frame, panels)


def _packed(weights: np.ndarray) -> str:
    """Writes the weights in numbers, exact to a hundred-thousandth."""
    return base64.b64encode(np.rint(weights * _SCALE).astype(">u2").tobytes()).decode("ascii")


def _frame(queries: Sequence[str], keys: Sequence[str], *, identity: str) -> _FrameView:
    """Measures a drawing and places its tokens."""
    down, across = ([token_label(token) for token in side] for side in (queries, keys))
    longest_key = max(map(len, across), default=0)
    cell = 14 if max(len(across), len(down)) > _WIDE_TOKENS else 20
    upright = _LETTER * longest_key > cell
    left = (_LETTER + 1) * max(map(len, down), default=0) + 12
    top = _LETTER * longest_key + 10 if upright else 22
    inner_width, inner_height = cell * len(across), cell * len(down)
    # The last of the slanted names leans over the right edge.
    overhang = _LETTER * longest_key // 2 if upright else 2
    return _FrameView(
        id=identity,
        queries=[_LabelView(label, top + cell * (i + 0.5)) for i, label in enumerate(down)],
        keys=[_LabelView(label, left + cell * (i + 0.5)) for i, label in enumerate(across)],
        upright=upright,
        cell=cell,
        left=left,
        top=top,
        inner_width=inner_width,
        inner_height=inner_height,
        width=left + inner_width + overhang,
        height=top + inner_height + 2,
    )


def _shares(query: str, weights: np.ndarray, keys: Sequence[str]) -> str:
    """Says in words where a token looks most."""
    order = np.argsort(-weights, kind="stable")[:3]
    looks = [f"{keys[i]} {quantity(float(weights[i]), 'share')}" for i in order]
    return f"{query} looks at: " + ", ".join(looks)
