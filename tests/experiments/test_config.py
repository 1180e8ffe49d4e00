import subprocess
import sys

import pytest
from pydantic import ValidationError

from lowkey.config import dump_recipe, load_recipe
from lowkey.errors import ConfigError
from lowkey.experiments.config import (
    FinetuneRecipe,
    TransformerSizes,
    TranslationRecipe,
)
from lowkey.experiments.defaults import defaults_for
from lowkey.training.changes import refuse_changes

DATA = {"train": "a.jsonl"}


def recipe(**changes):
    return FinetuneRecipe(**{"data": DATA, "model": {"path": "bert"}} | changes)


@pytest.mark.parametrize("method", ["lora", "full", "head", "bitfit"])
def test_a_method_brings_its_learning_rate_unless_the_recipe_says_one(method):
    rates = {"lora": 5e-4, "full": 5e-5, "head": 1e-2, "bitfit": 1e-3}
    assert recipe(method=method).train.learning_rate == rates[method]
    assert defaults_for(method)["train.learning_rate"].value == rates[method]
    said = recipe(method=method, train={"learning_rate": 0.125})
    assert said.train.learning_rate == 0.125


def test_lora_is_the_method_that_is_meant_without_a_word():
    assert recipe().method == "lora"
    assert recipe().train.learning_rate == 5e-4
    assert recipe().train.warmup_steps == 0.06
    assert recipe(train={"warmup_steps": 0}).train.warmup_steps == 0


def test_batches_are_counted_in_examples_unless_the_recipe_counts_tokens():
    assert recipe().train.per_device_train_batch_size == 32
    assert recipe(train={"batch_tokens": 99}).train.per_device_train_batch_size is None


def test_a_recipe_comes_back_as_it_was_written(tmp_path):
    (tmp_path / "a.yaml").write_text(dump_recipe(recipe(method="head", train={"max_steps": 3})))
    again = load_recipe(FinetuneRecipe, tmp_path / "a.yaml")
    assert again == recipe(method="head", train={"max_steps": 3})


@pytest.mark.parametrize(("key", "value"), [("head_learning_rate", 1e-3), ("layer_decay", 0.9)])
def test_rates_of_the_parts_of_an_encoder_are_not_for_a_transformer(key, value):
    assert getattr(recipe(train={key: value}).train, key) == value
    with pytest.raises(ValidationError, match=rf"train\.{key} is for encoders, with lowkey finet"):
        TranslationRecipe(data={"train": "a.tsv"}, train={key: value})


@pytest.mark.parametrize("cls", [FinetuneRecipe, TranslationRecipe])
def test_without_data_there_is_nothing_to_train_on(cls):
    with pytest.raises(ValidationError, match=r"data names no train source — set data\.train"):
        cls(**{"data": {"test": "a.jsonl"}} | ({"model": {"path": "x"}} if "F" in str(cls) else {}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "dora"}, "method"),
        ({"task": "spell"}, "task"),
        ({"train": [1]}, "train"),
        ({"train": None}, "train"),
        ({"method": ["lora"]}, "method"),
        ({"modle": {}}, "modle"),
        ({"track": ["paper"]}, "track"),
    ],
)
def test_values_that_are_none_are_refused(changes, words):
    with pytest.raises(ValidationError, match=words):
        recipe(**changes)


def test_sizes_that_no_transformer_has_are_refused():
    with pytest.raises(ValidationError, match="d_model 16 is not divisible by num_heads 3"):
        TransformerSizes(d_model=16, num_heads=3)
    with pytest.raises(ValidationError, match="sinusoidal positions need an even d_model, got 15"):
        TransformerSizes(d_model=15, num_heads=3)
    assert TransformerSizes(d_model=15, num_heads=3, positions="learned").d_model == 15


def translation(folder, model="", settings=()):
    text = f"data: {{train: a.jsonl}}\nmodel: {{{model}}}\n"
    (folder / "t.yaml").write_text(text)
    return load_recipe(TranslationRecipe, folder / "t.yaml", settings)


def test_a_size_fills_what_the_recipe_and_the_command_line_leave_open(tmp_path):
    model = translation(tmp_path, "size: base, num_heads: 4", ["model.d_ff=99"]).model
    assert (model.d_model, model.num_heads, model.d_ff, model.attention_dropout) == (512, 4, 99, 0)
    assert translation(tmp_path, "d_ff: 7", ["model.size=big"]).model.d_model == 1024


def test_the_recipe_of_a_run_spells_the_size_out(tmp_path):
    begun = translation(tmp_path, "size: base, dropout: 0.2, norm: pre")
    (tmp_path / "config.yaml").write_text(dump_recipe(begun))
    assert "d_model: 512\n" in (tmp_path / "config.yaml").read_text()
    again = load_recipe(TranslationRecipe, tmp_path / "config.yaml")
    assert again == begun
    refuse_changes(begun, again, run=tmp_path)
    other = load_recipe(TranslationRecipe, tmp_path / "config.yaml", ["model.size=big"])
    assert other.model.d_model == 512  # what is spelled out wins, and is told
    assert "size big but d_model 512, num_heads 8" in other.model.remark()
    with pytest.raises(ConfigError, match=r'model\.size was "base", is now "big"'):
        refuse_changes(begun, other, run=tmp_path)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "size: bsae",
            't.yaml:2: model.size must be one of tiny, small, iwslt, base, big or null, got "bsae"'
            " — did you mean base?",
        ),
        (
            "share_embeddings: true",
            "t.yaml:2: model.share_embeddings is true, but source and target have a tokenizer each"
            " — set tokenizer.joint to true",
        ),
        (
            "decoder_num_heads: 7",
            "t.yaml:2: model.d_model 256 is not divisible by decoder_num_heads 7 — use 8 heads,"
            " or d_model 252",
        ),
        (
            "positions: rotary, d_model: 30, num_heads: 6",
            "t.yaml:2: model.num_heads 6 leaves 5 of d_model 30 to each head, and rotary positions"
            " turn features in pairs — use 5 heads",
        ),
    ],
)
def test_a_wrong_size_is_told_in_one_line(tmp_path, monkeypatch, model, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as told:
        translation(tmp_path.relative_to(tmp_path), model)
    assert str(told.value) == message
    settings = ["tokenizer.joint=true"]
    shared = translation(tmp_path, "share_embeddings: true", settings)
    assert shared.model.share_embeddings


def test_reading_a_recipe_imports_no_torch():
    program = "import sys, lowkey.experiments.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
