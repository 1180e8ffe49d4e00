import io

import pytest

from lowkey.cli.texts import Input, portions, read_inputs
from lowkey.errors import DataError


def read(data: bytes, *, column: str = "text", json_lines: bool | None = False) -> list[Input]:
    readline = io.BytesIO(data).readline
    return list(read_inputs(readline, "file", column=column, json_lines=json_lines))


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        (b"", []),
        (b"a\nb", ["a", "b"]),
        (b"a\n\nb\n", ["a", "", "b"]),  # an answer for each line, or they no longer match
        (b"\xef\xbb\xbfa\r\nb\r\n", ["a", "b"]),
        ("a\u2028b\x0bc\n".encode(), ["a\u2028b\x0bc"]),
        (b"{not json\n", ["{not json"]),
    ],
)
def test_a_line_is_a_text(data: bytes, texts: list[str]) -> None:
    assert read(data) == [Input(text) for text in texts]


def test_an_object_gives_the_texts_that_the_model_reads() -> None:
    data = b'{"text": "a", "text_pair": "b", "source": "c"}\n \n{"source": "d", "text": "e"}'
    assert read(data, json_lines=True) == [Input("a", "b"), Input("e")]
    assert read(data, json_lines=True, column="source") == [Input("c"), Input("d")]


def test_the_first_character_tells_json_lines_from_text() -> None:
    assert read(b' {"text": "a"}\n', json_lines=None) == [Input("a")]
    assert read(b'a\n{"text": "b"}\n', json_lines=None) == [Input("a"), Input('{"text": "b"}')]


def test_nothing_is_read_before_it_is_asked_for() -> None:
    file = io.BytesIO(b"a\nb\n\xff\n")
    inputs = read_inputs(file.readline, "file", column="text", json_lines=False)
    assert next(inputs) == Input("a")
    assert file.tell() == 2


def test_portions_keep_the_order_and_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lowkey.cli.texts._PORTION", 2)
    cut = list(portions(Input(text) for text in "abcde"))
    assert [[one.text for one in portion] for portion in cut] == [["a", "b"], ["c", "d"], ["e"]]


def test_the_words_of_a_sentence_come_as_a_list_or_between_white_space() -> None:
    data = b'{"tokens": ["New York", "is"]}\n{"text": "a", "tokens": ["b"]}\n'
    found = [one.sentence for one in read(data, json_lines=None, column="tokens")]
    assert found == [["New York", "is"], ["b"]]
    lines = b'New  York is\n["New York", "is"]\n[ New York ]\n["a", 5]\n[]\n'
    assert [one.sentence for one in read(lines, column="tokens")] == [
        ["New", "York", "is"],
        ["New York", "is"],
        ["[", "New", "York", "]"],
        ['["a",', "5]"],
        [],
    ]


@pytest.mark.parametrize("value", ['"a b"', '["a", ""]', '["a", 5]', "null"])
def test_what_is_no_list_of_words_is_refused(value: str) -> None:
    with pytest.raises(DataError, match=r"file:1: .* is no list of words — write"):
        read(f'{{"tokens": {value}}}'.encode(), json_lines=True, column="tokens")
