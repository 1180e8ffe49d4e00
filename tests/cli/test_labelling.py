import json
from pathlib import Path

import pytest
import tiny_tasks

from lowkey.cli import main


def test_texts_that_are_cut_are_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"text": "good film"}, {"text": "good " * 40}, {"text": "dull"}]
    tiny_tasks.write_jsonl(here / "long.jsonl", rows)
    assert main(["predict", "runs/classify", "--file", "long.jsonl", "--json"]) == 0
    out, err = capsys.readouterr()
    assert [len(json.loads(line)["scores"]) for line in out.splitlines()] == [2, 2, 2]
    assert err == (
        "note: 33.3% of the given texts are longer than 32 tokens and are cut (1 of 3; median 4,"
        " longest 42, 42 would cover 99%)\n"
    )
    assert main(["predict", "runs/classify", "good film"]) == 0
    assert capsys.readouterr().err == ""


def test_a_model_that_refuses_long_texts_names_the_line(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(tmp_path / "refusing")
    words = ["--config", "classify.yaml", "--set", "data.long_texts=error", "--out", run]
    assert main(["finetune", *words]) == 0
    capsys.readouterr()
    tiny_tasks.write_jsonl(here / "long.jsonl", [{"text": "good film"}, {"text": "good " * 40}])
    assert main(["predict", run, "--file", "long.jsonl"]) == 65
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "error: long.jsonl:2: this text has 42 tokens, the model reads 32 at most (1 of 2, 50.0%,"
        " are longer) — shorten it\n"
    )
