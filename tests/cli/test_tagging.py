import json
from pathlib import Path

import pytest
import tiny_tasks

import lowkey
from lowkey.cli import main


def test_words_are_tagged_however_they_come(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [["the", "good", "films"], ["New York", "was", "dull"]]
    expected = lowkey.load("runs/tag").predict(words)
    assert main(["predict", "runs/tag", "the good  films", json.dumps(words[1]), "--json"]) == 0
    said = capsys.readouterr()
    assert [json.loads(line) for line in said.out.splitlines()] == expected
    assert said.err == ""
    tiny_tasks.write_jsonl(here / "words.jsonl", [{"tokens": one} for one in words])
    assert main(["predict", "runs/tag", "--file", "words.jsonl", "--json"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == expected
    assert main(["predict", "runs/tag", "the good films"]) == 0
    tags = expected[0]["tags"]
    assert capsys.readouterr().out == f"the/{tags[0]} good/{tags[1]} films/{tags[2]}\n"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("good films\n\ndull\n", "s.txt:2: there are no words"),
        (
            f"a\n{'good ' * 40}\n",
            "s.txt:2: this sentence has 42 tokens, the model reads 32 at most"
            " (1 of 2, 50.0%, are longer) — split it",
        ),
    ],
)
def test_a_line_that_cannot_be_tagged_is_named(
    here: Path, capsys: pytest.CaptureFixture[str], content: str, error: str
) -> None:
    Path("s.txt").write_text(content)
    assert main(["predict", "runs/tag", "--file", "s.txt"]) == 65
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"error: {error}\n")


def test_a_word_that_the_tokenizer_drops_is_told(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "runs/tag", "good \u200b films"]) == 0
    out, err = capsys.readouterr()
    assert len(out.split()) == 3
    assert "makes no token of 1 of the given words (first: text 1, word 2)" in err


def test_a_tagger_is_scored_compared_drawn_and_handed_on(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "runs/tag", "--data", "data/tagged_dev.jsonl"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    spans = ["entity_f1", "entity_precision", "entity_recall", "partial_f1", "accuracy"]
    assert names == [*spans, "on"]
    both = ["evaluate", "runs/tag", "runs/classify", "--data", "data/tagged_dev.jsonl"]
    assert main(both) == 2
    assert "runs/tag is a model of tagging, runs/classify one of classif" in capsys.readouterr().err
    assert main(["attention", "runs/tag", "good films", "--out", "tags.html"]) == 0
    page = Path("tags.html").read_text(encoding="utf-8")
    assert "encoder.blocks.1.attention" in page
    assert main(["attention", "runs/tag", "good", "--pair", "b", "--out", "x.html"]) == 2
    for form in ("peft", "merged"):
        assert main(["export", "runs/tag", "--format", form, "--out", f"tagger/{form}"]) == 0
    assert "merging moved the logits of" in capsys.readouterr().out
    card = Path("tagger/merged/README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: token-classification" in card
    config = json.loads(Path("tagger/merged/config.json").read_text())
    assert config["architectures"] == ["BertForTokenClassification"]
    assert main(["predict", "runs/tag", "a", "--nbest", "2"]) == 2
    assert "--nbest: is for translations, and this model is for tagging" in capsys.readouterr().err


def test_init_writes_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "tag"]) == 0
    assert "lowkey finetune --config tag.yaml" in capsys.readouterr().out
    assert "task: tag" in Path("tag.yaml").read_text(encoding="utf-8")


ROW = {"tokens": ["good", "films"], "tags": ["B-GOOD", "I-GOOD"]}


@pytest.mark.parametrize(
    ("train", "dev", "error"),
    [
        ([ROW, ROW | {"tags": ["O"]}], [ROW], "t.jsonl:2: 2 tokens and 1 tags — each word needs"),
        (
            [ROW, ROW | {"tokens": [], "tags": []}],
            [ROW],
            '1 row has an empty "tokens" (first: t.js',
        ),
        (
            [ROW, ROW | {"tokens": ["a", ""]}],
            [ROW],
            't.jsonl:2: "tokens" must be a list',
        ),
        (
            [ROW],
            [ROW | {"tags": ["B-GOOD", "I-GODO"]}],
            'tag "I-GODO" (d.jsonl:1) is not among',
        ),
        ([ROW | {"tags": ["O", "O"]}], [ROW], 'all 2 words of t.jsonl have the tag "O" — check da'),
        ([{"text": "a", "label": "b"}], [ROW], 't.jsonl has no column "tokens"; its columns are: '),
    ],
)
def test_data_that_is_no_use_is_told_before_anything_is_made(
    here: Path,
    capsys: pytest.CaptureFixture[str],
    train: list[dict[str, list[str]]],
    dev: list[dict[str, list[str]]],
    error: str,
) -> None:
    tiny_tasks.write_jsonl(here / "t.jsonl", train)
    tiny_tasks.write_jsonl(here / "d.jsonl", dev)
    data = ["--set", "data.train=t.jsonl", "--set", "data.validation=d.jsonl"]
    words = ["--config", "classify.yaml", "--set", "task=tag", *data, "--out", "runs/bad"]
    assert main(["finetune", *words]) == 65
    out, err = capsys.readouterr()
    assert err.startswith(f"error: {error}")
    assert (out, err.count("\n")) == ("", 1)
    assert not Path("runs/bad").exists()


def test_tagged_rows_without_the_task_are_recognised(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--set", "data.train=data/tagged.jsonl"]
    assert main(["finetune", "--config", "classify.yaml", *data, "--out", "runs/bad"]) == 65
    assert "— set task: tag to learn a tag for each word" in capsys.readouterr().err
