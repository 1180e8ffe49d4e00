import json
from pathlib import Path

import pytest

from lowkey.cli import main


@pytest.mark.parametrize(
    ("run", "data", "metric"),
    [
        ("runs/classify", "data/dev.jsonl", "accuracy"),
        ("runs/translate", "pairs/dev.jsonl", "word_error_rate"),
    ],
)
def test_evaluate_agrees_with_the_run(
    here: Path, capsys: pytest.CaptureFixture[str], run: str, data: str, metric: str
) -> None:
    said = json.loads((here / run / "best" / "lowkey.json").read_text(encoding="utf-8"))["metrics"]
    assert main(["evaluate", run, "--data", data, "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["metrics"][metric] == said[metric]
    assert main(["evaluate", run, "--data", data]) == 0
    assert f"{metric} {said[metric]['value']:.4f} (95 % interval" in capsys.readouterr().out


def test_evaluate_compares_runs_and_baselines(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twice = ["evaluate", "runs/classify", "runs/classify/best", "--data", "data/dev.jsonl"]
    assert main([*twice, "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[0])
    said = json.loads((here / "runs/classify/best/lowkey.json").read_text(encoding="utf-8"))
    assert found["systems"][1]["metrics"]["accuracy"] == said["metrics"]["accuracy"]
    assert found["differences"][0]["metrics"]["f1_macro"]["p_bootstrap"] == 1
    alone = ["evaluate", "runs/translate", "--data", "pairs/dev.jsonl", "--baselines"]
    assert main([*alone, "--outputs", "looked-at"]) == 0
    out = capsys.readouterr().out
    assert "copy of the source minus runs/translate\n  exact_match " in out
    assert "lower is better), p " in out
    assert "by McNemar's test" in out
    files = sorted(path.name for path in Path("looked-at").iterdir())
    assert files == ["copy_of_the_source.jsonl", "nearest_training_pair.jsonl", "translate.jsonl"]
    assert main(["evaluate", "runs/translate", "runs/classify", "--data", "pairs/dev.jsonl"]) == 2
    assert "compare runs of one kind" in capsys.readouterr().err


def test_the_report_is_written_again(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = here / "runs" / "classify" / "report.html"
    report.unlink()
    assert main(["report", "runs/classify"]) == 0
    assert capsys.readouterr().out.splitlines() == ["runs/classify/report.html"]
    assert "<html" in report.read_text(encoding="utf-8")
    assert main(["report", "data"]) == 66


@pytest.mark.parametrize(("run", "text"), [("classify", "good film"), ("translate", "a b")])
def test_attention_becomes_a_page_or_a_picture(
    here: Path, capsys: pytest.CaptureFixture[str], run: str, text: str
) -> None:
    assert main(["attention", f"runs/{run}", text, "--out", f"{run}.html"]) == 0
    assert "attention" in Path(f"{run}.html").read_text(encoding="utf-8")
    assert main(["attention", f"runs/{run}", text, "--out", f"{run}.png"]) == 0
    assert Path(f"{run}.png").read_bytes().startswith(b"\x89PNG")
    assert main(["attention", f"runs/{run}", text, "--out", f"{run}.svg"]) == 0
    assert "<svg" in Path(f"{run}.svg").read_text(encoding="utf-8")
    assert main(["attention", f"runs/{run}", text, "--out", f"{run}.gif"]) == 2
    assert not Path(f"{run}.gif").exists()


def test_average_says_what_it_averaged(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = ["--set", "train.save_steps=1", "--set", "train.max_steps=3"]
    assert main(["train", "--config", "translate.yaml", "--out", "runs/kept", *kept]) == 0
    capsys.readouterr()
    assert main(["average", "runs/kept", "--last", "2"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "runs/kept/average: the mean of 2 checkpoints, steps 2 to 3"
    assert main(["evaluate", "runs/kept/average", "--data", "pairs/dev.jsonl"]) == 0
    assert main(["average", "runs/kept", "--last", "1"]) == 2


def test_attention_shows_what_was_asked_for_or_nothing(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["attention", "runs/translate", "a b", "--target", "c d e", "--out", "asked.html"]
    assert main([*command, "--kind", "cross", "--layer", "1", "--head", "2"]) == 0
    page = Path("asked.html").read_text(encoding="utf-8")
    assert "decoder_blocks.0.cross_attention" in page
    assert "encoder_blocks.0" not in page
    assert page.count("data-weights=") == 1
    Path("asked.html").unlink()
    assert main([*command, "--layer", "7"]) == 2
    assert "--layer: there is no layer 7 to look at" in capsys.readouterr().err
    assert main([*command, "--pair", "c"]) == 2
    classify = ["attention", "runs/classify", "good film", "--out", "asked.html"]
    assert main([*classify, "--target", "x"]) == 2
    assert main([*classify, "--kind", "cross"]) == 2
    assert not Path("asked.html").exists()


@pytest.mark.parametrize("form", ["peft", "merged"])
def test_export_hands_on_a_folder(
    here: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    weights = {"peft": "adapter_model.safetensors", "merged": "model.safetensors"}[form]
    assert main(["export", "runs/classify", "--format", form, "--out", f"out/{form}"]) == 0
    assert (here / "out" / form / weights).is_file()
    assert main(["export", "runs/classify", "--format", form, "--out", f"out/{form}"]) == 2
