import json
from pathlib import Path

import pytest
import tiny_tasks

import lowkey
from lowkey.cli import main

FINETUNE = ["finetune", "--config", "classify.yaml"]


@pytest.fixture(scope="module")
def run(trained: Path) -> str:
    """A run of two steps on lists of labels, in the folder of the others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(trained)
        for name, seed in (("sets", 1), ("sets_dev", 2)):
            rows = tiny_tasks.multilabel_rows(32, seed)
            tiny_tasks.write_jsonl(Path("data") / f"{name}.jsonl", rows)
        data = [
            "--set",
            "data.train=data/sets.jsonl",
            "--set",
            "data.validation=data/sets_dev.jsonl",
        ]
        assert main([*FINETUNE, *data, "--out", "runs/sets"]) == 0
    return "runs/sets"


def test_it_is_recognised_predicted_scored_drawn_and_handed_on(
    here: Path, run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["good films", "dull"]
    expected = lowkey.load(run, device="cpu").predict(texts)
    assert main(["predict", run, *texts, "--json"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == expected
    assert main(["predict", run, *texts]) == 0
    for line, answer in zip(capsys.readouterr().out.splitlines(), expected, strict=True):
        words = [f"{name} {answer['scores'][name]:.3f}" for name in answer["labels"]]
        assert line == (", ".join(words) or "(none)")
    assert main(["evaluate", run, "--data", "data/sets_dev.jsonl"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["f1_micro", "f1_macro", "exact_match", "average_precision", "on"]
    assert main(["evaluate", run, run, "--data", "data/sets_dev.jsonl"]) == 0
    assert "average_precision +0.0000" in capsys.readouterr().out
    assert main(["attention", run, "good films", "--out", "sets.html"]) == 0
    for form in ("peft", "merged"):
        assert main(["export", run, "--format", form, "--out", f"sets/{form}"]) == 0
    card = Path("sets/merged/README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: text-classification" in card
    assert "average\\_precision" in card or "Average precision" in card
    report = (Path(run) / "report.html").read_text(encoding="utf-8")
    assert "An encoder that says which labels hold" in report
    assert "Average precision" in report


ROW = {"text": "good films", "label": ["praise", "film"]}


@pytest.mark.parametrize(
    ("task", "train", "dev", "error"),
    [
        ("auto", [ROW, ROW | {"label": "praise"}], [ROW], 't.jsonl:2: "label" is "praise", but ["'),
        ("multilabel", [ROW | {"label": "a"}], [ROW], 't.jsonl:1: "label" is "a", where a list'),
        ("classify", [ROW], [ROW], 't.jsonl:1: "label" is a list, ["praise", "film"], where one'),
        ("auto", [ROW | {"label": []}] * 2, [ROW], "none of the 2 rows of t.jsonl has a label"),
        ("auto", [ROW] * 2, [ROW], 'all 2 rows of t.jsonl have the same labels, "film, praise"'),
        (
            "auto",
            [ROW, ROW | {"label": []}],
            [ROW | {"label": ["prais"]}],
            'label "prais" (d.jsonl:1) is not among the labels film, praise — did you mean "praise',
        ),
        (
            "auto",
            [ROW, ROW | {"label": []}],
            [ROW | {"label": "praise"}],
            'd.jsonl:1: "label" is "praise", where a list of labels is needed',
        ),
    ],
)
def test_data_that_is_no_use_is_told_before_anything_is_made(
    here: Path, capsys: pytest.CaptureFixture[str], task: str, train: list, dev: list, error: str
) -> None:
    tiny_tasks.write_jsonl(here / "t.jsonl", train)
    tiny_tasks.write_jsonl(here / "d.jsonl", dev)
    settings = [f"task={task}", "data.train=t.jsonl", "data.validation=d.jsonl"]
    words = [word for setting in settings for word in ("--set", setting)]
    assert main([*FINETUNE, *words, "--out", "runs/bad"]) == 65
    out, err = capsys.readouterr()
    assert err.startswith(f"error: {error}")
    assert (out, err.count("\n")) == ("", 1)
    assert not Path("runs/bad").exists()


def test_a_table_of_text_holds_no_lists(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "t.csv").write_text("text,label\ngood films,praise|film\ndull,blame\n")
    words = ["--set", "task=multilabel", "--set", "data.train=t.csv", "--out", "runs/bad"]
    assert main([*FINETUNE, *words]) == 65
    assert "CSV and TSV hold no lists: give .jsonl, .json or .parquet" in capsys.readouterr().err


def test_a_classifier_is_not_scored_on_lists(
    here: Path, run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "runs/classify", "--data", "data/sets_dev.jsonl"]) == 65
    assert "where one label is needed" in capsys.readouterr().err
    assert main(["evaluate", run, "--data", "data/dev.jsonl"]) == 65
    assert "where a list of labels is needed" in capsys.readouterr().err
