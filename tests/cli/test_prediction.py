import io
import json
import sys
from collections.abc import Iterator
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


def answers_of(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["predict", "runs/translate", *words]) == 0
    return lines_of(capsys)


def test_nbest_and_scores_are_lines_or_a_list(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["a b", "c", "--num-beams", "3", "--nbest", "2", "--scores"]
    expected = lowkey.load("runs/translate").predict(
        ["a b", "c"], num_beams=3, nbest=2, scores=True
    )
    assert [json.loads(line) for line in answers_of(capsys, *asked, "--json")] == expected
    lines = answers_of(capsys, *asked)
    each = [one for answer in expected for one in answer["nbest"]]
    assert lines == [f"{one['score']:.4f}\t{one['text']}" for one in each]
    assert len(lines) == 4


def test_options_reach_the_search(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = lowkey.load("runs/translate")
    for words, changes in (
        (["--prefix", "c d"], {"prefixes": ["c d"] * 2}),
        (["--set", "min_length=9", "--set", "decode.no_repeat_ngram_size=2"],
         {"min_length": 9, "no_repeat_ngram_size": 2}),
        (["--sample", "--temperature", "2", "--top-k", "4", "--top-p", "0.9", "--seed", "5"],
         {"sample": True, "temperature": 2, "top_k": 4, "top_p": 0.9, "seed": 5}),
        (["--max-length", "2", "--num-beams", "2", "--length-penalty", "0.3"],
         {"max_length": 2, "num_beams": 2, "length_penalty": 0.3}),
    ):  # fmt: skip
        assert answers_of(capsys, "a b", "d e c", *words) == model.translate(
            ["a b", "d e c"], **changes
        )


def test_samples_do_not_depend_on_the_portions(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("many.txt").write_text("a b\n" * 7, encoding="utf-8")
    asked = ["--file", "many.txt", "--sample", "--temperature", "3"]
    whole = answers_of(capsys, *asked)
    monkeypatch.setattr("lowkey.cli.prediction._TRANSLATIONS", 3)
    assert answers_of(capsys, *asked) == whole
    assert len(set(whole)) > 1


def test_a_line_of_json_may_bring_its_prefix(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"source": "a b", "prefix": "e"}, {"source": "a b"}, {"source": "c", "prefix": ""}]
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    lines = answers_of(capsys, "--file", "rows.jsonl", "--prefix", "d d")
    expected = lowkey.load("runs/translate").translate(
        ["a b", "a b", "c"], prefixes=["e", "d d", ""]
    )
    assert lines == expected
    assert lines[0].startswith("e")
    assert lines[1].startswith("d d")


@pytest.fixture
def short(here: Path) -> Iterator[None]:
    """For a while the Transformer was trained on four tokens at most."""
    path = Path("runs/translate/best/lowkey.json")
    before = path.read_bytes()
    path.write_text(json.dumps(json.loads(before) | {"max_length": 4}), encoding="utf-8")
    yield
    path.write_bytes(before)


def test_long_texts_are_refused_cut_or_split(
    short: None, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("long.txt").write_text("a b\na b c d\nc\na b c d e\n", encoding="utf-8")
    assert main(["predict", "runs/translate", "--file", "long.txt"]) == 65
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "error: long.txt:2: has 5 tokens, the model reads 4 at most (and 1 more) — --long split "
        "translates it in pieces, --long truncate cuts off its end\n"
    )
    model = lowkey.load("runs/translate")
    for long, texts in (
        ("truncate", [["a b"], ["a b c"], ["c"], ["a b c"]]),
        ("split", [["a b"], ["a b", "c d"], ["c"], ["a b c", "d e"]]),
    ):
        assert main(["predict", "runs/translate", "--file", "long.txt", "--long", long]) == 0
        out, err = capsys.readouterr()
        assert out.splitlines() == [" ".join(model.translate(pieces)) for pieces in texts]
        done = {"truncate": "cut off there", "split": "translated in pieces"}[long]
        assert err == f"note: 2 texts are longer than 4 tokens: {done}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nbest", "3"], "error: nbest 3 is more than num_beams 1 — set num_beams to 3 or more"),
        (["--top-p", "1.5", "--sample"], "error: top_p must be a number above 0 and at most 1"),
        (["--temperature", "2"], "error: temperature 2 is for samples — set sample to true"),
        (["--sample", "--num-beams", "2"], "error: sample draws tokens at random and has no use"),
        (["--set", "min_length=99"], "error: min_length 99 is more than max_length 12"),
        (["--set", "min_lenth=9"], "error: unknown key min_lenth — did you mean min_length?"),
        (["--set", "min_length"], "error: --set min_length: not of the form key=value"),
        (["--long", "split", "--nbest", "2", "--num-beams", "2"], "error: nbest 2 cannot be had"),
    ],
)
def test_wishes_that_cannot_be_fulfilled_are_told_without_torch(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lowkey.pipelines.load.load", None)  # the model is not even opened
        assert main(["predict", "runs/translate", "a", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(message)
    assert len(err.splitlines()) == 1


def test_a_prefix_that_cannot_be_said_is_told(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "runs/translate", "a", "b", "--prefix", "zebra"]) == 65
    error = capsys.readouterr().err
    assert error.startswith('error: text 1: the prefix "zebra" holds what the target vocabulary')


@pytest.mark.parametrize(
    "words",
    [
        ["--nbest", "2"],
        ["--scores"],
        ["--sample"],
        ["--prefix", "a"],
        ["--long", "split"],
        ["--num-beams", "2"],
        ["--set", "min_length=2"],
    ],
)
def test_a_classifier_has_no_use_for_them(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert main(["predict", "runs/classify", "a", *words]) == 2
    error = capsys.readouterr().err
    assert error == (
        f"error: {words[0]}: is for translations, and this model is for classification\n"
    )
