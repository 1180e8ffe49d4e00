from dataclasses import replace

import pytest

from lowkey.cli import main
from lowkey.experiments import defaults as room

RECIPE = """\
method: full
data: {train: a.jsonl}
model: {path: bert}
train: {learning_rate: 1e-4}
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "mine.yaml").write_text(RECIPE)


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def test_every_default_is_told_with_its_reason(capsys):
    assert main(["explain", "defaults"]) == 0
    said = lines(capsys)
    assert said[0].split() == ["key", "value", "holds", "for"]
    text = " ".join(" ".join(said).split())
    for default in room.DEFAULTS:
        assert f"{default.why} ({default.source})" in text
    rows = [line.split() for line in said if line.startswith("train.learning_rate")]
    assert [row[1:] for row in rows] == [
        ["0.0005", "lora"],
        ["5e-05", "full"],
        ["0.001", "bitfit"],
        ["0.01", "head"],
    ]
    assert max(map(len, said)) <= 100


def test_of_a_recipe_it_is_said_what_holds_and_who_said_so(capsys):
    settings = ["--set", "train.batch_tokens=512", "--set", "train.warmup_steps=9"]
    assert main(["explain", "defaults", "--config", "mine.yaml", *settings]) == 0
    said = lines(capsys)
    rows = [line.split() for line in said if not line.startswith(" ")]
    assert rows[:5] == [
        ["key", "value", "set", "by"],
        ["train.learning_rate", "0.0001", "you"],
        ["train.num_train_epochs", "3", "lowkey"],
        ["train.per_device_train_batch_size", "-", "you"],
        ["train.warmup_steps", "9", "you"],
    ]
    assert said[2].startswith("    without it 5e-05: ")
    assert "    train.batch_tokens takes its place" in said


def test_it_is_the_table_of_the_program_that_is_told(capsys, monkeypatch):
    others = tuple(replace(row, value=77) for row in room.DEFAULTS)
    monkeypatch.setattr(room, "DEFAULTS", others)
    assert main(["explain", "defaults", "--config", "mine.yaml"]) == 0
    rows = [line.split() for line in lines(capsys) if line.startswith("train.")]
    assert [row[1] for row in rows] == ["0.0001", "77", "77", "77"]


def test_a_recipe_of_the_other_verb_is_told(capsys):
    with open("other.yaml", "w") as file:
        file.write("data: {train: a.tsv}\n")
    assert main(["explain", "defaults", "--config", "other.yaml"]) == 2
    assert "other.yaml is a recipe for lowkey train" in capsys.readouterr().err


def test_settings_without_a_recipe_are_refused(capsys):
    assert main(["explain", "defaults", "--set", "train.seed=1"]) == 2
    assert "give the recipe too" in capsys.readouterr().err
