"""Pictures of numbers along an axis: learning curves, and scores with their intervals."""

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lowkey.metrics.intervals import Score
from lowkey.reports.curves import Panel
from lowkey.reports.figures import INK, SERIES, new_figure, styled
from lowkey.reports.quantities import Unit, interval, quantity
from lowkey.reports.visible import one_line

_MOST_POINTS = 800


@styled
def learning_curves(panels: Sequence[Panel], width: float = 9.0) -> Figure:
    """Draws how losses and scores went over the steps, one panel for each measure.

    A noisy curve is drawn twice: as it was, faintly, and as its running mean.

    Args:
        panels: What to draw, at most two to a row.
        width: Width of the whole picture in inches of 96 pixels.

    Returns:
        The figure.
    """
    columns = min(2, max(1, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    figure = new_figure(width, 2.9 * rows)
    grid = figure.add_gridspec(rows, columns)
    for index, panel in enumerate(panels):
        axes = figure.add_subplot(grid[index // columns, index % columns])
        _draw_panel(axes, panel, last_row=index + columns >= len(panels))
    return figure


@styled
def scores(
    rows: Sequence[tuple[str, Score]], *, unit: Unit = "share", axis: str = "", width: float = 9.0
) -> Figure:
    """Draws one dot for each method, with its interval as a bar.

    Args:
        rows: Names and scores, from top to bottom.
        unit: How the scores are written.
        axis: What the scores measure.
        width: Width of the picture in inches of 96 pixels.

    Returns:
        The figure.
    """
    figure = new_figure(width, 0.62 + 0.42 * max(1, len(rows)))
    axes = figure.add_subplot()
    for place, (_, score) in enumerate(rows):
        colour = SERIES[place % len(SERIES)]
        axes.plot(
            [score.low, score.high],
            [place, place],
            color=colour,
            linewidth=5,
            alpha=0.3,
            solid_capstyle="round",
        )
        axes.plot(score.value, place, "o", color=colour, markersize=7)
        beside = f"{quantity(score.value, unit)}   {interval(score.low, score.high, unit)}"
        axes.annotate(
            beside,
            (1.02, place),
            xycoords=("axes fraction", "data"),
            va="center",
            color=INK,
            annotation_clip=False,
        )
    axes.set_yticks(range(len(rows)), [one_line(name, 28) for name, _ in rows], color=INK)
    axes.set_ylim(max(1, len(rows)) - 0.5, -0.5)
    axes.margins(x=0.08)
    axes.grid(axis="x")
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    _format(axes.xaxis, unit)
    axes.set_xlabel(axis)
    return figure


def _draw_panel(axes: Axes, panel: Panel, *, last_row: bool) -> None:
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
    ends: list[tuple[float, float, str, str]] = []
    for curve, colour in zip(panel.curves, itertools.cycle(SERIES), strict=False):
        if not len(curve.steps):
            continue
        steps, values = np.asarray(curve.steps, float), np.asarray(curve.values, float)
        drawn = values
        if len(values) > 60 and _is_noisy(values):
            drawn = _running_mean(values, reach=max(3, len(values) // 40))
            axes.plot(*_thinned(steps, values), color=colour, linewidth=0.8, alpha=0.22)
        marker = "o" if len(values) < 16 else ""
        axes.plot(*_thinned(steps, drawn), color=colour, linewidth=1.8, marker=marker, markersize=4)
        if curve.name:
            ends.append((steps[-1], drawn[-1], curve.name, colour))
    axes.set_xlim(left=0)
    axes.set_title(one_line(panel.title, 48))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    _format(axes.xaxis, "count")
    axes.yaxis.set_major_locator(MaxNLocator(5))
    _format(axes.yaxis, panel.unit)
    if last_row:
        axes.set_xlabel("step")
    _name_ends(axes, ends)


def _name_ends(axes: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Writes each curve's name at its end, moved apart where two names would overlap."""
    bottom, top = axes.get_ylim()
    gap = 0.075 * (top - bottom)
    place = -np.inf
    for _, value, name, colour in sorted(ends, key=lambda end: end[1]):
        place = max(value, place + gap)
        axes.annotate(
            one_line(name, 22),
            (1.015, place),
            xycoords=("axes fraction", "data"),
            color=colour,
            va="center",
            fontsize=8.5,
            fontweight="bold",
            annotation_clip=False,
        )


def _thinned(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keeps as many points as a picture can show, the last one among them."""
    stride = max(1, len(values) // _MOST_POINTS)
    return steps[::-stride][::-1], values[::-stride][::-1]


def _is_noisy(values: np.ndarray) -> bool:
    """Tells whether a curve turns around at more than a quarter of its points."""
    steps = np.diff(values)
    return bool(np.mean(steps[1:] * steps[:-1] < 0) > 0.25)


def _running_mean(values: np.ndarray, reach: int) -> np.ndarray:
    """Averages each value with its neighbours on both sides, so that the mean does not lag."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    starts, ends = np.maximum(0, places - reach), np.minimum(len(values), places + reach + 1)
    return (sums[ends] - sums[starts]) / (ends - starts)


def _format(axis: Axis, unit: Unit) -> None:
    """Writes an axis's numbers in their unit, with no more digits than they need."""
    if unit == "share":
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}\u00a0%"))
    elif unit != "number":
        axis.set_major_formatter(FuncFormatter(lambda value, _: quantity(value, unit)))
