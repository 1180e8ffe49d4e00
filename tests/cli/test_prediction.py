import io
import json
import sys
from pathlib import Path

import pytest

import lowkey
from lowkey.cli import main


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_texts_are_labelled_in_their_order(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "runs/classify", "good film", "dull", "--json"]) == 0
    answers = [json.loads(line) for line in lines_of(capsys)]
    expected = lowkey.load("runs/classify").predict(["good film", "dull"])
    assert [answer.keys() for answer in answers] == [{"label", "scores"}] * 2
    assert answers == expected
    assert main(["predict", "runs/classify/best", "good film"]) == 0
    label, probability = lines_of(capsys)[0].split()
    assert label == expected[0]["label"]
    assert float(probability) == pytest.approx(max(expected[0]["scores"].values()), abs=1e-3)


def standard_input(text: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedReader(io.BytesIO(text.encode())))


@pytest.mark.parametrize(
    ("name", "content", "kept"),
    [
        ("texts.txt", "\ufeffgood film\r\n\r\ndull\r\n", ["good film", "", "dull"]),
        (
            "texts.jsonl",
            '{"text": "good film", "id": 1}\n\n{"text": "dull"}',
            ["good film", "dull"],
        ),
        ("-", "good film\ndull", ["good film", "dull"]),
        ("-", '{"text": "good film"}\n{"text": "dull"}\n', ["good film", "dull"]),
        ("empty.txt", "", []),
    ],
)
def test_a_file_gives_an_answer_for_each_text(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: str,
    kept: list[str],
) -> None:
    Path(name).write_text(content, encoding="utf-8", newline="")
    monkeypatch.setattr(sys, "stdin", standard_input(content))
    monkeypatch.setattr("lowkey.cli.texts._PORTION", 2)
    assert main(["predict", "runs/classify", "--file", name, "--json"]) == 0
    answers = [json.loads(line) for line in lines_of(capsys)]
    assert [one["label"] for one in answers] == [
        one["label"] for one in lowkey.load("runs/classify").predict(kept)
    ]


@pytest.mark.parametrize(
    ("name", "content", "error", "code"),
    [
        ("a.txt", b"good\n\xff\n", "a.txt:2: not UTF-8 (byte 0xFF, column 1)", 65),
        ("a.jsonl", b'{"txt": "good"}', 'a.jsonl:1: has no "text"; its keys are: txt — rename', 65),
        ("a.jsonl", b'{"text": 5}', "a.jsonl:1: 5 is not a text", 65),
        ("a.jsonl", b"good\n", "a.jsonl:1: not JSON", 65),
        ("a.jsonl", b'{"text": "a", "text_pair": "b"}', "trained on single texts", 65),
        ("b.txt", b"x" * 2**21, "b.txt:1: the line is longer than 1 MiB", 65),
        ("no.txt", None, "no such file no.txt", 66),
    ],
)
def test_a_file_that_cannot_be_predicted_is_told(
    here: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: bytes | None,
    error: str,
    code: int,
) -> None:
    if content is not None:
        Path(name).write_bytes(content)
    assert main(["predict", "runs/classify", "--file", name]) == code
    assert error in capsys.readouterr().err


def test_a_transformer_translates(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("sources.jsonl").write_text('{"source": "a b"}\n', encoding="utf-8")
    assert main(["predict", "runs/translate", "--file", "sources.jsonl", "--json"]) == 0
    expected = lowkey.load("runs/translate").predict(["a b"])
    assert json.loads(lines_of(capsys)[0]) == expected[0]
    assert expected[0].keys() == {"text"}
