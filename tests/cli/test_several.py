"""Several runs over one base on the command line."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

import lowkey
from lowkey.cli import main

ALSO = ["predict", "runs/classify", "--also", "runs/moods"]


@pytest.fixture
def two(here: Path) -> Path:
    """Beside runs/classify a run that is its opposite."""
    if not Path("runs/moods").exists():
        shutil.copytree("runs/classify", "runs/moods")
        weights = Path("runs/moods/best/adapter_model.safetensors")
        tensors = load_file(weights)
        save_file({n: -t if "classifier" in n else t for n, t in tensors.items()}, weights)
    return here


def answers(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def one(run: str, text: str) -> dict:
    return lowkey.load(f"runs/{run}").predict([text])[0]


def assert_are(found: list[dict], expected: list[tuple[str, str]]) -> None:
    assert [answer["adapter"] for answer in found] == [name for name, _ in expected]
    for answer, (name, text) in zip(found, expected, strict=True):
        alone = one(name, text)
        assert answer["label"] == alone["label"]
        assert answer["scores"] == pytest.approx(alone["scores"], abs=1e-5)


def test_every_run_answers_every_text(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ALSO, "good film", "dull", "--json"]) == 0
    found = answers(capsys)
    names = ["classify", "moods"]
    assert_are(found, [(name, text) for text in ("good film", "dull") for name in names])
    assert found[0]["scores"] != pytest.approx(found[1]["scores"], abs=1e-3)
    assert main([*ALSO, "good film"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == names
    label, probability = lines[1].split("\t")[1].split()
    assert label == one("moods", "good film")["label"]
    assert float(probability) == pytest.approx(found[1]["scores"][label], abs=1e-3)


def test_a_line_names_the_run_that_answers_it(
    two: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lowkey.cli.texts._PORTION", 2)
    lines = [
        {"text": "good film", "adapter": "moods"},
        {"text": "dull"},
        {"text": "a film", "adapter": "classify"},
    ]
    Path("mixed.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main([*ALSO, "--file", "mixed.jsonl", "--json"]) == 0
    expected = [("moods", "good film"), ("classify", "dull"), ("moods", "dull")]
    assert_are(answers(capsys), [*expected, ("classify", "a film")])
    # A single run answers all of them, whatever stands under a key that it does not read.
    Path("mixed.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["predict", "runs/classify", "--file", "mixed.jsonl", "--json"]) == 0
    assert len(answers(capsys)) == 3
    Path("empty.jsonl").touch()
    assert main([*ALSO, "--file", "empty.jsonl"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("also", "line", "code", "message"),
    [
        (
            "runs/moods",
            {"text": "a", "adapter": "mods"},
            65,
            "wrong.jsonl:1: none of the runs is called mods — did you mean moods?",
        ),
        (
            "runs/moods",
            {"text": "a", "adapter": 3},
            65,
            "none of the runs is called 3",
        ),
        ("runs/tag", {"text": "a"}, 65, "tag is a model for tagging — classifiers and regressors"),
        ("runs/translate", {"text": "a"}, 65, "translate is a model for translation"),
        ("runs/classify/best", {"text": "a"}, 2, "are both called classify — rename one"),
        ("runs/nowhere", {"text": "a"}, 66, "no such run or model folder runs/nowhere"),
    ],
)
def test_what_cannot_be_answered_is_told_without_torch(
    two: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    also: str,
    line: dict,
    code: int,
    message: str,
) -> None:
    monkeypatch.setitem(sys.modules, "lowkey.pipelines.bank", None)  # importing it would fail
    Path("wrong.jsonl").write_text(json.dumps(line))
    assert main(["predict", "runs/classify", "--also", also, "--file", "wrong.jsonl"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_a_pair_for_a_run_of_single_texts_is_told(
    two: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("pair.jsonl").write_text('{"text": "a"}\n{"text": "a", "text_pair": "b"}\n')
    assert main([*ALSO, "--file", "pair.jsonl"]) == 65
    assert capsys.readouterr().err == (
        "error: pair.jsonl:2 for classify: this model was trained on single texts\n"
    )


def test_what_is_cut_is_told_and_a_key_that_nobody_reads_is_not(
    two: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*ALSO, "good " * 60]) == 0
    said = capsys.readouterr().err
    assert [
        f"and are cut (1 of 1; median 62, longest 62, 62 would cover 99%), by {name}" in said
        for name in ("classify", "moods")
    ] == [True, True]
    Path("odd.jsonl").write_text('{"text": "good film", "adapter": 7}\n')
    assert main(["predict", "runs/classify", "--file", "odd.jsonl"]) == 0
