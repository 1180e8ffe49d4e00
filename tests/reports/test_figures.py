import io
import subprocess
import sys
from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from lowkey.metrics.intervals import Score
from lowkey.reports import figures, heatmaps, plots
from lowkey.reports.curves import Curve, Panel

UNIFORM = np.full((2, 3, 4), 0.25)
LAYER = heatmaps.AttentionMap("block.0", ["a", "b", "$c$"], ["w", "x", "y", "z"], UNIFORM)
LONG = Curve("train", list(range(100)), [100.0 - step for step in range(100)])
SHORT = Curve("eval", [1, 50, 99], [90.0, 40.0, 1.0])

PICTURES: dict[str, Callable[[], Figure]] = {
    "curves": lambda: plots.learning_curves([Panel("Loss", [LONG, SHORT])] * 3),
    "no curves": lambda: plots.learning_curves([]),
    "an empty curve": lambda: plots.learning_curves([Panel("Loss", [Curve("x", [], [])])]),
    "scores": lambda: plots.scores(
        [("LoRA", Score(0.9, 0.8, 0.95, 100)), ("full", Score(0.91, np.nan, np.nan, 0))]
    ),
    "no scores": lambda: plots.scores([]),
    "attention": lambda: heatmaps.attention([LAYER]),
    "two layers": lambda: heatmaps.attention([LAYER, LAYER]),
    "mean attention": lambda: heatmaps.attention([LAYER, LAYER], mean=True),
    "no attention": lambda: heatmaps.attention([]),
    "confusion": lambda: heatmaps.confusion(np.array([[9, 1], [0, 0]]), ["no", "yes"]),
    "positions": lambda: heatmaps.positions(np.sin(np.arange(48.0).reshape(6, 8))),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_made_of_the_same_bytes_each_time(name: str) -> None:
    first = figures.png(PICTURES[name]())
    with mpl.rc_context({"font.size": 30, "text.parse_math": True, "svg.hashsalt": "other"}):
        assert figures.png(PICTURES[name]()) == first
    assert Image.open(io.BytesIO(first)).info.keys() <= {"dpi"}


def test_a_drawing_is_the_same_text_each_time() -> None:
    first = figures.svg(PICTURES["scores"]())
    with mpl.rc_context({"font.size": 30, "svg.hashsalt": "other", "svg.fonttype": "none"}):
        assert figures.svg(PICTURES["scores"]()) == first
    assert "<text" not in first
    assert "<dc:" not in first


def test_a_png_has_twice_the_pixels_of_the_screen() -> None:
    image = Image.open(io.BytesIO(figures.png(PICTURES["scores"]())))
    assert image.width == 2 * 96 * 9
    assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("label", ["$\\frac{1}{0}$", "$x", "静か", "\x00\ud800", "a\nb", ""])
def test_a_label_is_text_and_not_mathematics(label: str) -> None:
    layer = heatmaps.AttentionMap(label, [label], [label], np.ones((1, 1, 1)))
    assert figures.png(heatmaps.attention([layer, layer]))
    assert figures.svg(plots.scores([(label, Score(0.5, 0.4, 0.6, 9))], axis="$x"))
    assert figures.png(plots.learning_curves([Panel(label, [Curve(label, [1], [2.0])])]))


def test_the_running_mean_neither_lags_nor_leans() -> None:
    line = np.arange(50.0)
    np.testing.assert_allclose(plots._running_mean(line, reach=3)[3:-3], line[3:-3])
    np.testing.assert_allclose(plots._running_mean(np.full(9, 2.0), reach=20), 2.0)
    spike = np.where(np.arange(21) == 10, 1.0, 0.0)
    assert plots._running_mean(spike, reach=2).sum() == pytest.approx(1.0)


def test_only_a_noisy_curve_is_averaged() -> None:
    assert not plots._is_noisy(np.exp(-np.arange(100.0)))
    assert plots._is_noisy(np.arange(100.0) + 3 * np.cos(np.pi * np.arange(100)))


def test_thinning_keeps_the_last_point() -> None:
    steps, values = plots._thinned(np.arange(5000.0), np.arange(5000.0) ** 2)
    assert len(steps) < 1000
    assert (steps[-1], values[-1]) == (4999.0, 4999.0**2)


def test_pixels_are_as_dark_as_the_weights() -> None:
    content = figures.pixels_png(np.array([[0.0, 0.5, 1.0]]))
    image = Image.open(io.BytesIO(content)).convert("L")
    assert image.size == (3, 1)
    white, middle, dark = (image.getpixel((x, 0)) for x in range(3))
    assert (white, True) == (255, white > middle > dark)


def test_weights_must_fit_their_tokens() -> None:
    with pytest.raises(ValueError, match=r"block\.0: .* 2 queries and 4 keys"):
        heatmaps.AttentionMap("block.0", ["a", "b"], list("wxyz"), UNIFORM)


def test_a_report_loads_neither_torch_nor_pyplot() -> None:
    rooms = "run_report, lowkey.reports.attention_page, lowkey.reports.model_card"
    code = (
        f"import sys, lowkey.reports.{rooms}\n"
        "print(sorted({'torch', 'matplotlib.pyplot'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
