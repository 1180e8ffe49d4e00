"""The verbs about ranks: what they print, and what they say of mistakes."""

import json
import re
from pathlib import Path

import pytest
from test_messages import snapshot

from lowkey.cli import main
from lowkey.cli.spectra import rerank_in_words
from lowkey.files import read_json


@pytest.fixture(scope="module")
def full(trained: Path) -> Path:
    """A run of the method full beside the two that are there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(trained)
        command = ["finetune", "--config", "classify.yaml", "--set", "method=full"]
        assert main([*command, "--out", "runs/full"]) == 0
    return trained / "runs" / "full"


def test_the_spectrum_is_a_table_or_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spectrum", "runs/classify"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[0] == "module"
    assert lines[0].endswith("norm   of W  effective rank  90 % in  95 % in  99 % in")
    assert main(["spectrum", "runs/classify", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(lines) == 1 + 12 + 1 + 1 + 4
    for line, one in zip(lines[1:], found["modules"], strict=False):
        effective = re.escape(f"{one['effective_rank']:.1f} of 8")
        needed = r"\s+".join(str(rank) for rank in one["needed"].values())
        assert re.fullmatch(
            rf"{re.escape(one['name'])}\s+\S+\s+[\d.]+ %\s+{effective}\s+{needed}", line
        )
    assert len({len(line) for line in lines[:13]}) == 1
    assert lines[14] == "one rank for all 12 updates would keep"
    assert lines[-1] == "  rank 8: 100.0 % of the whole, at least 100.0 % of each"


def test_the_spectrum_of_a_full_fine_tune(full: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["spectrum", str(full)]) == 0
    said = capsys.readouterr().out
    assert " of 32 " in said
    assert "one rank for all 12 differences from the base would keep" in said


def test_rerank_says_where_what_and_how_good(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rerank", "runs/classify", "--rank", "2", "--out", "smaller"]) == 0
    lines = capsys.readouterr().out.splitlines()
    first = r"smaller: rank 8 becomes 2, which keeps [\d.]+ % of all updates and at least [\d.]+ %"
    assert re.fullmatch(f"{first} of each", lines[0])
    metrics = {n: read_json(Path(n) / "lowkey.json")["metrics"] for n in ("smaller",)}
    best = read_json(Path("runs/classify/best/lowkey.json"))["metrics"]
    before, after = (m["accuracy"]["value"] for m in (best, metrics["smaller"]))
    assert lines[1] == f"validation accuracy: {before:.4f} before, {after:.4f} after"
    assert main(["rerank", "runs/classify", "--keep", "0.9", "--out", "kept", "--no-score"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert main(["predict", "kept", "good film"]) == 0
    command = ["rerank", "smaller", "--rank", "1", "--out", "least", "--json"]
    assert main(command) == 0
    capsys.readouterr()
    assert read_json(Path("least/adapter_config.json"))["r"] == 1


def test_extract_names_what_it_holds_and_what_it_cannot(
    here: Path, full: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["extract", "bert", "runs/full", "--rank", "4", "--out", "adapter"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^encoder\.blocks\.1\.attention\.out +\S+ +[\d.]+ %$", said, re.MULTILINE)
    assert "adapter: an adapter of rank 4 for bert; it keeps " in said
    assert "carried whole: classifier, pooler\n" in said
    assert re.search(r"not carried: \d+ parameters, [\d.]+ % of the whole change\n", said)
    for kind, name in (
        ("embeddings", r"encoder\.embeddings\.token\.weight"),
        ("norms", r"encoder\.\S+norm\.\w+"),
        ("biases", r"encoder\.\S+\.bias"),
    ):
        assert re.search(rf"  {kind} [\d.]+ %: {name} [\d.]+ %", said)
    assert "(--json names all)" in said
    assert "validation accuracy: " in said
    narrow = ["extract", "bert", "runs/full", "--rank", "2", "--targets", "query,value"]
    assert main([*narrow, "--out", "narrow", "--no-score", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["modules"]) == 4
    assert main([*narrow, "--out", "narrower", "--no-score"]) == 0
    assert "  other weights " in capsys.readouterr().out


def test_a_share_is_never_rounded_up() -> None:
    found = {"out": "x", "old_rank": 8, "rank": 4, "kept": 0.99999, "least": 0.95}
    said = rerank_in_words({**found, "scores": {}, "not_scored": None})
    assert said.endswith("becomes 4, which keeps 99.9 % of all updates and at least 95.0 % of each")


def test_a_rank_that_is_no_smaller_is_not_called_new() -> None:
    found = {"out": "x", "old_rank": 8, "rank": 8, "kept": 1.0, "least": 1.0}
    said = rerank_in_words({**found, "scores": {}, "not_scored": None})
    assert said.startswith("x: rank 8 stays, which keeps 100.0 %")


@pytest.mark.parametrize(
    ("command", "code", "answer"),
    [
        ("spectrum runs/nowhere", 66, r"no such run or model folder runs/nowhere.*"),
        ("spectrum runs/translate", 2, r"runs/translate was trained from random weights: .*"),
        (
            "rerank runs/full --rank 2",
            2,
            r"runs/full is of the method full and has no .* — .*",
        ),
        ("rerank runs/translate --keep 0.9", 2, r"runs/translate is of the method scratch and .*"),
        ("rerank runs/classify --rank 9", 2, r"--rank: the updates have rank 8, and 9 is more .*"),
        ("rerank runs/classify --keep 1.01", 2, r"--keep: 1\.01 is no share of an update — .*"),
        ("rerank runs/classify --keep 0", 2, r"--keep: 0\.0 is no share of an update — .*"),
        ("rerank runs/classify", 2, r"give --rank or --keep — .*"),
        ("rerank runs/classify --rank 2 --out data", 2, r"--out: data is not empty — .*"),
        ("extract bert runs/full --rank 33 --out x", 2, r"--rank: the weights have rank 32 at .*"),
        ("extract bert runs/full --rank 2 --out data", 2, r"--out: data is not empty — .*"),
        ("extract bert runs/classify --rank 2 --out x", 2, r"runs/classify is an adapter .*"),
        ("extract bert bert --rank 2 --out x", 65, r"bert: the model is no BertForSeq.*"),
        ("extract bart runs/full --rank 2 --out x", 69, r'BASE: model "bart" is no folder here .*'),
        ("extract bert runs/full --rank 2 --targets qury --out x", 2, r"--targets: 'qury' .*"),
    ],
)
def test_a_mistake_is_told_in_a_line_and_leaves_nothing(
    here: Path,
    full: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    code: int,
    answer: str,
) -> None:
    capsys.readouterr()
    before = snapshot(here)
    assert main(command.split()) == code
    out, err = capsys.readouterr()
    assert re.fullmatch(f"error: {answer}\n", err)
    assert out == ""
    assert snapshot(here) == before


@pytest.mark.parametrize("rank", ["0", "2000"])
def test_a_rank_out_of_bounds_is_a_mistake_of_use(
    here: Path, capsys: pytest.CaptureFixture[str], rank: str
) -> None:
    assert main(["rerank", "runs/classify", "--rank", rank]) == 2
    assert "'--rank'" in capsys.readouterr().err
