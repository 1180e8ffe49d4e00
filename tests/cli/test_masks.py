import json
from pathlib import Path

import pytest
import tiny_tasks
import torch

from lowkey.cli import main
from lowkey.hf.masked import load_masked, save_masked


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run on raw text."""
    folder = tmp_path_factory.mktemp("masks")
    tiny_tasks.write_tasks(folder, rows=32)
    model = load_masked(folder / "bert", generator=torch.Generator().manual_seed(0))
    save_masked(model, folder / "bert")
    (folder / "texts.txt").write_text("the film was good\nthe film was dull\n" * 8)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        settings = ["task=mlm", "data.train=texts.txt", "data.validation=texts.txt"]
        words = [word for setting in settings for word in ("--set", setting)]
        assert main(["finetune", "--config", "classify.yaml", *words, "--out", "run"]) == 0
    return folder


@pytest.fixture(autouse=True)
def inside(folder, monkeypatch):
    monkeypatch.chdir(folder)


def test_masks_are_filled_in_words_and_in_json(capsys):
    assert main(["predict", "run", "the film was [MASK]", "[MASK] b"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("the film was ")
    assert second.endswith(" b")
    assert main(["predict", "run", "[MASK] b", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["text"] == second
    (guesses,) = answer["masks"]
    scores = [guess["score"] for guess in guesses]
    assert scores == sorted(scores, reverse=True)
    assert len(guesses) == 5


def test_a_text_without_a_mask_is_told(capsys):
    assert main(["predict", "run", "the film"]) == 65
    assert "there is nothing to guess — write [MASK] somewhere" in capsys.readouterr().err


def test_other_texts_are_scored(capsys):
    assert main(["evaluate", "run", "--data", "texts.txt"]) == 0
    said = capsys.readouterr().out
    assert "perplexity" in said.lower()
    assert main(["evaluate", "run", "run", "--data", "texts.txt"]) == 0


def test_where_it_looks_and_what_it_is(capsys):
    assert main(["attention", "run", "the [MASK] was good", "--out", "look.html"]) == 0
    assert main(["export", "run", "--format", "merged", "--out", "whole"]) == 0
    # What a new process compares is a number for each text, not the whole vocabulary's logits.
    assert len(json.loads(Path("run/best/probe.json").read_text())["numbers"]) == 8
    card = Path("whole/README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: fill-mask" in card
    assert "merging moved the logits" in capsys.readouterr().out
    report = Path("run/report.html").read_text(encoding="utf-8")
    assert "An encoder that guesses masked words" in report


def test_a_text_without_a_mask_is_named_by_its_line(capsys):
    Path("ask.jsonl").write_text('{"text": "a [MASK]"}\n\n\n{"text": "good"}\n')
    assert main(["predict", "run", "--file", "ask.jsonl"]) == 65
    assert "ask.jsonl:4: there is nothing to guess" in capsys.readouterr().err
