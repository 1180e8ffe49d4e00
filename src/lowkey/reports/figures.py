"""The one style of every picture, and a figure as the bytes of a file.

Colours are those of Okabe and Ito (2008), which colour-blind readers can tell apart.
Figures are made without pyplot, so nothing global is left behind.
"""

import functools
import io
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

INK, MUTED, GRID = "#1f2733", "#66707c", "#e3e7ec"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#b5589a", "#d99000", "#3d9fd6", "#66707c")
HEAT = LinearSegmentedColormap.from_list(
    "heat", ["#ffffff", "#cfe3f1", "#5ba3d0", "#00507f", "#00263f"]
)
BALANCE = LinearSegmentedColormap.from_list("balance", ["#0072b2", "#f7f7f5", "#d55e00"])

_STYLE: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": 9,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "text.color": INK,
    # A label is somebody's text: "$x$" must stay those three characters.
    "text.parse_math": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "lowkey",
}
_RESOLUTION = 192  # dots per inch: twice the 96 of a screen, so that pictures stay sharp

P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Lets a function draw its figure in the package's style.

    Args:
        draw: A function that makes a figure.

    Returns:
        The same function, drawing in our style whatever the caller's settings are.
    """

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return drawn


def new_figure(width: float, height: float) -> Figure:
    """Makes an empty figure.

    Args:
        width: Width in inches of 96 screen pixels.
        height: Height in the same inches.

    Returns:
        A figure whose axes arrange themselves.
    """
    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(hspace=0.1))
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure) -> bytes:
    """Renders a figure at twice the screen's resolution.

    Args:
        figure: A figure made in this room.

    Returns:
        The content of a PNG file; the same figure gives the same bytes.
    """
    return _save(figure, "png", {"Software": None})


def svg(figure: Figure) -> str:
    """Renders a figure as vectors, letters included, so that it needs no font.

    Args:
        figure: A figure made in this room.

    Returns:
        The content of an SVG file; the same figure gives the same text.
    """
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    return _save(figure, "svg", nothing).decode("utf-8")


def pixels_png(values: np.ndarray) -> bytes:
    """Paints a matrix as a PNG with one pixel for each number, without axes.

    Args:
        values: A matrix of numbers from 0 (white) to 1 (dark).

    Returns:
        The content of a PNG file.
    """
    # One byte and a palette for each pixel: a page may hold hundreds of such pictures.
    image = Image.fromarray(np.uint8(np.round(255 * np.clip(values, 0.0, 1.0))))
    palette = np.uint8(np.round(255 * HEAT(np.arange(256))[:, :3]))
    image.putpalette(palette.tobytes())
    target = io.BytesIO()
    image.save(target, "png", optimize=True)
    return target.getvalue()


def _save(figure: Figure, kind: str, metadata: dict[str, None]) -> bytes:
    target = io.BytesIO()
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # A token in a script that the font lacks is drawn as a box: no reason to warn a user.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(target, format=kind, dpi=_RESOLUTION, metadata=metadata)
    return target.getvalue()
