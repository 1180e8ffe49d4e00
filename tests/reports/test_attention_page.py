import base64
import io
from importlib.resources import files

import numpy as np
import pytest
from PIL import Image
from reports.inert_page import PAYLOADS, Outline, problems

from lowkey.reports.attention_page import attention_page, attention_png, attention_svg
from lowkey.reports.heatmaps import AttentionMap
from lowkey.reports.visible import one_line

SCRIPT = (
    (files("lowkey") / "reports" / "templates" / "attention.js")
    .read_text(encoding="utf-8")
    .removesuffix("\n")
)


def layer(name: str = "blocks.0", token: str = "token", heads: int = 2) -> AttentionMap:
    weights = np.array([[0.75, 0.25, 0.0], [0.0, 0.5, 0.5]])
    return AttentionMap(name, [token, "b"], [token, "longer", "c"], np.stack([weights] * heads))


def values_of(page: str, attribute: str) -> list[str]:
    return [value for _, name, value in Outline(page).attributes if name == attribute]


def weights_in(page: str) -> list[np.ndarray]:
    """The matrices of a page, in its order, as its documentation says to read them."""
    shapes = zip(values_of(page, "data-rows"), values_of(page, "data-columns"), strict=True)
    return [
        np.frombuffer(base64.b64decode(packed), ">u2").reshape(int(rows), int(columns)) / 65535
        for packed, (rows, columns) in zip(values_of(page, "data-weights"), shapes, strict=True)
    ]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_foreign_tokens_stay_text(payload: str) -> None:
    rendered = attention_page([layer(payload, payload)], title=payload, subtitle=payload)
    assert problems(rendered, script=SCRIPT) == []
    assert Outline(rendered).elements == Outline(attention_page([layer()], subtitle="x")).elements
    assert one_line(payload, 14) in Outline(rendered).text


def test_another_script_is_seen() -> None:
    rendered = attention_page([layer()])
    assert "another script" in problems(rendered, script=SCRIPT + " ")
    planted = rendered.replace("<main>", "<main><script>1</script>")
    assert "not the one script" in problems(planted, script=SCRIPT)


def test_the_script_asks_for_nothing_and_makes_no_elements_of_text() -> None:
    for word in ("http", "fetch", "import", "eval", "innerHTML", "insertAdjacent", "write(", "</"):
        assert word not in SCRIPT


def test_every_head_is_drawn_and_every_row_tells_its_shares() -> None:
    outline = Outline(attention_page([layer(), layer("blocks.1", heads=1)]))
    # The mean and two heads, the only head of the second layer, and the tokens they share.
    assert [element[0] for element in outline.elements].count("svg") == 4 + 1
    assert [value for _, name, value in outline.attributes if name == "data-head"] == [
        *("mean", "1", "2"),
        "1",
    ]
    text = outline.text.replace("\u00a0", " ")
    assert text.count("b looks at: longer 50.0 %, c 50.0 %, token 0.0 %") == 4
    assert "2 heads, strongest = 75.0 %" in text
    assert "not an explanation" in text


def test_the_page_carries_the_weights_in_numbers() -> None:
    random = np.random.Generator(np.random.PCG64(0))
    weights = random.dirichlet(np.full(7, 0.3), size=(3, 5)).astype(np.float32)
    one = AttentionMap("decoder_blocks.1.cross_attention", list("abcde"), list("fghijkl"), weights)
    mean, *heads = weights_in(attention_page([one]))
    np.testing.assert_allclose(heads, weights, atol=1e-5)
    np.testing.assert_allclose(mean, weights.mean(axis=0), atol=1e-5)
    for matrix in heads:
        np.testing.assert_allclose(matrix.sum(axis=-1), 1, atol=1e-4)


def test_layers_and_heads_are_named_for_the_filters() -> None:
    names = ["encoder_blocks.2.attention", "decoder_blocks.0.attention"]
    cross = layer("decoder_blocks.0.cross_attention")
    chosen = AttentionMap(cross.name, cross.queries, cross.keys, cross.weights[1:], numbers=(2,))
    page = attention_page([*map(layer, names), chosen])
    assert values_of(page, "data-kind") == ["encoder", "decoder", "cross"]
    assert values_of(page, "data-layer") == ["3", "1", "1"]
    assert values_of(page, "data-head")[-1] == "2"
    assert "hidden" in next(e for e in Outline(page).elements if e[0] == "div")  # needs the script


def test_a_large_model_on_a_long_sentence_stays_a_page_of_a_few_megabytes() -> None:
    weights = np.random.Generator(np.random.PCG64(0)).dirichlet(np.ones(60), size=(8, 60))
    tokens = [f"token{i}" for i in range(60)]
    places = [f"encoder_blocks.{i}.attention" for i in range(6)]
    places += [
        f"decoder_blocks.{i}.{kind}" for i in range(6) for kind in ("attention", "cross_attention")
    ]
    page = attention_page([AttentionMap(name, tokens, tokens, weights) for name in places])
    elements = [element[0] for element in Outline(page).elements]
    assert len(page) < 4_500_000
    assert len(elements) < 30_000
    assert elements.count("text") == 2 * 60  # the tokens stand there once, not for each head


def test_the_picture_behind_the_rows_shows_the_weights() -> None:
    rendered = attention_page([layer(heads=1)])
    [address] = [v for tag, n, v in Outline(rendered).attributes if (tag, n) == ("image", "href")]
    image = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("L")
    darkness = 255 - np.asarray(image, float)
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


def test_the_svg_draws_the_same_as_vectors() -> None:
    drawn = attention_svg([layer()])
    assert drawn == attention_svg([layer()])
    assert "<svg" in drawn
    assert "<text" not in drawn  # letters are outlines: no font is needed
    for payload in PAYLOADS:
        assert "<script" not in attention_svg([layer(payload, payload)])
