"""The form of every message about a recipe."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, field_validator, model_validator

from lowkey.config import Config, load_recipe
from lowkey.config.problems import dotted
from lowkey.errors import ConfigError


class Model(Config):
    d_model: int = Field(512, ge=1)
    num_heads: int = Field(8, ge=1)

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "Model":
        if self.d_model % self.num_heads:
            raise ValueError(
                f"d_model {self.d_model} is not divisible by num_heads {self.num_heads}"
                " — use 8 heads"
            )
        return self


class Train(Config):
    learning_rate: float = Field(1e-3, gt=0)
    batch_size: int = Field(32, ge=1)
    max_steps: Annotated[int, Field(ge=1)] | None = None
    warmup: Annotated[int, Field(ge=0)] | Annotated[float, Field(ge=0, lt=1)] = 0
    precision: Literal["auto", "bf16", "fp32"] = "auto"

    @field_validator("batch_size")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError(f"must be even, got {value}")
        return value


class Data(Config):
    train: str
    source_lang: str = "en"
    labels: list[str] | None = None
    columns: dict[str, str] = Field({})
    shuffle: bool = True


class Recipe(Config):
    data: Data
    model: Model = Model()
    train: Train = Train()

    @model_validator(mode="after")
    def _fits(self) -> "Recipe":
        if self.train.batch_size > self.model.d_model:
            raise ValueError("train.batch_size is more than the width — lower it")
        if self.data.source_lang == "xx":
            raise ValueError("no such language")
        return self


DATA = "data:\n  train: a.tsv\n"

BOOLEAN = "YAML reads a bare no/yes/on/off as true/false — write "

CASES = [
    # text of the recipe, overrides, message
    (DATA + "train:\n  learning_rte: 1", [],
     "c.yaml:4: unknown key train.learning_rte — did you mean learning_rate?"),
    (DATA + "learning_rate: 1", [],
     "c.yaml:3: unknown key learning_rate — did you mean train.learning_rate?"),
    (DATA + "zzz: 1", [], "c.yaml:3: unknown key zzz — the keys here are data, model, train"),
    (DATA + "  source_lang: no", [],
     f'c.yaml:3: data.source_lang is False; {BOOLEAN}"no" in quotes'),
    (DATA + "  labels: [neutral,\n    On]", [],
     f'c.yaml:4: data.labels[1] is True; {BOOLEAN}"On" in quotes'),
    (DATA + "  columns:\n    text: yes", [],
     f'c.yaml:4: data.columns.text is True; {BOOLEAN}"yes" in quotes'),
    (DATA + "  labels: [0, 1]", [],
     'c.yaml:3: data.labels[0] must be text, got 0 — write "0" in quotes'),
    (DATA + "  labels: abc", [],
     'c.yaml:3: data.labels must be a list (each item text) or null, got "abc"'),
    (DATA + "  shuffle: 1", [], "c.yaml:3: data.shuffle must be true or false, got 1"),
    (DATA + "train:\n  batch_size: 0", [],
     "c.yaml:4: train.batch_size must be a whole number of at least 1, got 0"),
    (DATA + "train:\n  batch_size: 3", [], "c.yaml:4: train.batch_size must be even, got 3"),
    (DATA + "train:\n  batch_size: yes", [],
     "c.yaml:4: train.batch_size must be a whole number of at least 1, got true"),
    (DATA + 'train:\n  batch_size: "8"', [],
     'c.yaml:4: train.batch_size must be a whole number of at least 1, got "8"'
     " — write 8 without quotes"),
    (DATA + "train:\n  max_steps: 1e5", [],
     "c.yaml:4: train.max_steps must be a whole number of at least 1 or null, got 100000.0"
     " — write 100000"),
    (DATA + "train:\n  warmup: 1.5", [],
     "c.yaml:4: train.warmup must be a whole number of at least 0"
     " or a number of at least 0 and below 1, got 1.5"),
    (DATA + "train:\n  precision: fp23", [],
     'c.yaml:4: train.precision must be one of auto, bf16, fp32, got "fp23" — did you mean fp32?'),
    (DATA + "train: 5", [], "c.yaml:3: train must be a group of keys, got 5"),
    (DATA + "train:", [], "c.yaml:3: train must be a group of keys, got null"),
    (DATA + "model:\n  num_heads: 7\n  d_model: 512", [],
     "c.yaml:5: model.d_model 512 is not divisible by num_heads 7 — use 8 heads"),
    (DATA + "train:\n  batch_size: 600", [],
     "c.yaml:4: train.batch_size is more than the width — lower it"),
    (DATA + "  source_lang: xx", [], "c.yaml: no such language"),
    ("data:\n  source_lang: de", [],
     "c.yaml:1: data.train is missing — add it, or use --set data.train=..."),
    ("", [], "c.yaml: data is missing — add it, or use --set data=..."),
    # A mistyped name is told before the key that is missing because of it.
    ("data:\n  trian: a", [], "c.yaml:2: unknown key data.trian — did you mean train?"),
    # The first line first.
    (DATA + "model:\n  d_model: x\ntrain:\n  batch_size: y", [],
     'c.yaml:4: model.d_model must be a whole number of at least 1, got "x"'),
    (DATA, ["train.batch_size=0"],
     "--set train.batch_size: train.batch_size must be a whole number of at least 1, got 0"),
    (DATA, ["train.learning_rte=1"],
     "--set train.learning_rte: unknown key train.learning_rte — did you mean learning_rate?"),
    (DATA, ["data.labels=[a, no]"],
     f'--set data.labels: data.labels[1] is False; {BOOLEAN}"no" in quotes'),
    (DATA + "model:\n  num_heads: 8", ["model.d_model=12"],
     "--set model.d_model: model.d_model 12 is not divisible by num_heads 8 — use 8 heads"),
    (DATA, ["data.train={x: 1}"], '--set data.train: data.train must be text, got {"x": 1}'),
    (DATA, ["data.train.x=1"],
     '--set data.train.x: data.train is "a.tsv", it has no keys of its own'),
    (DATA, ["seed"], "--set seed: not of the form key=value — write a.b=value"),
    (DATA, ["=1"], "--set : not of the form key=value — write a.b=value"),
    (DATA, ["data..x=1"], "--set data..x: not of the form key=value — write a.b=value"),
    (DATA, ["data.train=@x"],
     "--set data.train: not YAML (found character '@' that cannot start any token)"
     """ — put quotes around the value: --set data.train='"..."'"""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "overrides", "message"), CASES)
def test_a_wrong_recipe_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, overrides: list, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_recipe(Recipe, Path("c.yaml"), overrides)
    assert str(caught.value) == message
    assert caught.value.exit_code == 2


def test_a_path_is_written_with_dots_and_brackets() -> None:
    assert dotted(("a", "b", 0, "c")) == "a.b[0].c"
    assert dotted(()) == ""
