import base64
import io

import numpy as np
import pytest
from PIL import Image
from reports.inert_page import PAYLOADS, Outline, problems

from lowkey.reports.attention_page import attention_page, attention_png
from lowkey.reports.heatmaps import AttentionMap
from lowkey.reports.visible import one_line


def layer(name: str = "blocks.0", token: str = "token", heads: int = 2) -> AttentionMap:
    weights = np.array([[0.75, 0.25, 0.0], [0.0, 0.5, 0.5]])
    return AttentionMap(name, [token, "b"], [token, "longer", "c"], np.stack([weights] * heads))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_foreign_tokens_stay_text(payload: str) -> None:
    rendered = attention_page([layer(payload, payload)], title=payload, subtitle=payload)
    assert problems(rendered) == []
    assert Outline(rendered).elements == Outline(attention_page([layer()], subtitle="x")).elements
    assert one_line(payload, 14) in Outline(rendered).text


def test_every_head_is_drawn_and_every_row_tells_its_shares() -> None:
    outline = Outline(attention_page([layer(), layer("blocks.1", heads=1)]))
    # The mean and two heads, then the only head of the second layer.
    assert [element[0] for element in outline.elements].count("svg") == 4
    text = outline.text.replace("\u00a0", " ")
    assert text.count("b looks at: longer 50.0 %, c 50.0 %, token 0.0 %") == 4
    assert "2 heads, darkest = 75.0 %" in text
    assert "not an explanation" in text


def test_the_picture_behind_the_rows_shows_the_weights() -> None:
    rendered = attention_page([layer(heads=1)])
    [address] = [v for tag, n, v in Outline(rendered).attributes if (tag, n) == ("image", "href")]
    image = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("L")
    darkness = 255 - np.asarray(image, float)[4::8, 4::8]
    assert darkness.shape == (2, 3)
    assert darkness[0, 0] == darkness.max()
    assert darkness[0, 2] == darkness[1, 0] == 0
    assert darkness[1, 1] == darkness[1, 2] > darkness[0, 1] > 0


def test_with_many_heads_only_the_last_layer_is_open() -> None:
    def opened(count: int) -> list[bool]:
        elements = Outline(attention_page([layer(heads=12)] * count)).elements
        return ["open" in element for element in elements if element[0] == "details"]

    assert opened(2) == [True, True]
    assert opened(3) == [False, False, True]


def test_the_png_has_a_row_for_each_layer_or_the_means_of_many() -> None:
    few = Image.open(io.BytesIO(attention_png([layer(), layer("blocks.1")])))
    assert few.height > Image.open(io.BytesIO(attention_png([layer()]))).height
    many = Image.open(io.BytesIO(attention_png([layer(heads=20)] * 5)))
    assert many.width < 2000
    assert attention_png([layer()]) == attention_png([layer()])
    assert attention_png([])
