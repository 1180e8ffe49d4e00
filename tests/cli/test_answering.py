import json
from pathlib import Path

import pytest
import tiny_tasks

import lowkey
from lowkey.cli import main

QUESTION, CONTEXT = "is the film", "the film was very good and a b c"


def test_questions_are_answered_however_they_come(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = lowkey.load("runs/answer").predict([QUESTION], [CONTEXT])
    assert main(["predict", "runs/answer", QUESTION, CONTEXT, "--json"]) == 0
    said = capsys.readouterr()
    assert [json.loads(line) for line in said.out.splitlines()] == expected
    assert said.err == ""
    rows = [{"question": QUESTION, "context": CONTEXT}] * 2
    tiny_tasks.write_jsonl(here / "q.jsonl", rows)
    assert main(["predict", "runs/answer", "--file", "q.jsonl", "--json"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == expected * 2
    assert main(["predict", "runs/answer", QUESTION, CONTEXT]) == 0
    assert capsys.readouterr().out == f"{expected[0]['answer']}  {expected[0]['score']:.3f}\n"
    assert main(["predict", "runs/answer", "a", "\u200b"]) == 0
    assert capsys.readouterr().out.startswith("(no answer)  ")


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["one"], 65, "TEXT: 1 text was given — give a question and its context, or --file with"),
        (["a", "b", "c"], 65, "TEXT: 3 texts were given — give a question and its context"),
        (["--file", "q.jsonl"], 65, "q.jsonl:2: the question has no context — write {"),
        (["--file", "c.jsonl"], 65, 'c.jsonl:1: has no "question"; its keys are: context'),
        (["a", "b", "--nbest", "2"], 2, "is for translations, and this model is for answering"),
        (["a " * 40, "b"], 65, "question 1: of the 32 tokens that the model reads, 0 are left"),
    ],
)
def test_what_cannot_be_answered_is_told(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, error: str
) -> None:
    tiny_tasks.write_jsonl(here / "q.jsonl", [{"question": "a", "context": "b"}, {"question": "a"}])
    tiny_tasks.write_jsonl(here / "c.jsonl", [{"context": "b"}])
    assert main(["predict", "runs/answer", *words]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert error in err
    assert err.count("\n") == 1


def test_a_context_in_windows_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "runs/answer", "a", "the film " * 30]) == 0
    out, err = capsys.readouterr()
    assert "100.0% of the given questions have a context that is read in several windows" in err
    assert len(out.splitlines()) == 1


def test_a_finder_of_answers_is_scored_compared_drawn_and_handed_on(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "runs/answer", "--data", "data/asked_dev.jsonl"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    parts = ["answerable_f1", "unanswerable_accuracy"]
    assert names == ["exact_match", "f1", *parts, "on"]
    assert main(["attention", "runs/answer", "a", "--pair", "good films", "--out", "q.html"]) == 0
    page = Path("q.html").read_text(encoding="utf-8")
    assert "encoder.blocks.1.attention" in page
    assert main(["attention", "runs/answer", "good", "--out", "x.html"]) == 2
    assert "a question needs a context" in capsys.readouterr().err
    for form in ("peft", "merged"):
        assert main(["export", "runs/answer", "--format", form, "--out", f"answerer/{form}"]) == 0
    assert "merging moved the logits of" in capsys.readouterr().out
    card = Path("answerer/merged/README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: question-answering" in card
    config = json.loads(Path("answerer/merged/config.json").read_text())
    assert config["architectures"] == ["BertForQuestionAnswering"]
    report = Path("runs/answer/report.html").read_text(encoding="utf-8")
    assert "An encoder that finds answers in texts" in report


def test_init_writes_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "answer"]) == 0
    assert "lowkey finetune --config answer.yaml" in capsys.readouterr().out
    assert "task: answer" in Path("answer.yaml").read_text(encoding="utf-8")


ROW = {"question": "a", "context": "b c", "answers": {"text": ["c"], "answer_start": [2]}}


@pytest.mark.parametrize(
    ("train", "dev", "error"),
    [
        (
            [ROW, ROW | {"answers": {"text": ["c"], "answer_start": [1]}}],
            [ROW],
            't.jsonl:2: the answer "c" is not in the context at character 1, where " " stands —'
            " set answer_start to 2",
        ),
        ([ROW], [ROW, ROW | {"context": "x"}], 'd.jsonl:2: the answer "c" is not in the context'),
        ([ROW, ROW | {"question": " "}], [ROW], '1 row has an empty "question" (first: t.jsonl:2'),
        ([{"text": "a", "label": "b"}], [ROW], 't.jsonl has no column "question"; its columns are'),
    ],
)
def test_data_that_is_no_use_is_told_before_anything_is_made(
    here: Path,
    capsys: pytest.CaptureFixture[str],
    train: list[dict[str, object]],
    dev: list[dict[str, object]],
    error: str,
) -> None:
    tiny_tasks.write_jsonl(here / "t.jsonl", train)
    tiny_tasks.write_jsonl(here / "d.jsonl", dev)
    data = ["--set", "data.train=t.jsonl", "--set", "data.validation=d.jsonl"]
    words = ["--config", "classify.yaml", "--set", "task=answer", *data, "--out", "runs/bad"]
    assert main(["finetune", *words]) == 65
    out, err = capsys.readouterr()
    assert err.startswith(f"error: {error}")
    assert (out, err.count("\n")) == ("", 1)
    assert not Path("runs/bad").exists()


def test_questions_without_the_task_are_recognised(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--set", "data.train=data/asked.jsonl"]
    assert main(["finetune", "--config", "classify.yaml", *data, "--out", "runs/bad"]) == 65
    assert "— set task: answer to learn to find answers" in capsys.readouterr().err
