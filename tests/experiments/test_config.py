import subprocess
import sys

import pytest
from pydantic import ValidationError

from lowkey.config import dump_recipe, load_recipe
from lowkey.experiments.config import (
    LEARNING_RATES,
    TASKS_TO_COME,
    FinetuneRecipe,
    TransformerSizes,
    TranslationRecipe,
)

DATA = {"train": "a.jsonl"}


def recipe(**changes):
    return FinetuneRecipe(**{"data": DATA, "model": {"path": "bert"}} | changes)


@pytest.mark.parametrize("method", ["lora", "full", "head"])
def test_a_method_brings_its_learning_rate_unless_the_recipe_says_one(method):
    assert recipe(method=method).train.learning_rate == LEARNING_RATES[method]
    said = recipe(method=method, train={"learning_rate": 0.125})
    assert said.train.learning_rate == 0.125
    assert LEARNING_RATES["lora"] > LEARNING_RATES["full"]


def test_lora_is_the_method_that_is_meant_without_a_word():
    assert recipe().method == "lora"
    assert recipe().train.learning_rate == LEARNING_RATES["lora"]
    assert recipe().train.warmup_steps == 0.06
    assert recipe(train={"warmup_steps": 0}).train.warmup_steps == 0


def test_batches_are_counted_in_examples_unless_the_recipe_counts_tokens():
    assert recipe().train.per_device_train_batch_size == 32
    assert recipe(train={"batch_tokens": 99}).train.per_device_train_batch_size is None


def test_a_recipe_comes_back_as_it_was_written(tmp_path):
    (tmp_path / "a.yaml").write_text(dump_recipe(recipe(method="head", train={"max_steps": 3})))
    again = load_recipe(FinetuneRecipe, tmp_path / "a.yaml")
    assert again == recipe(method="head", train={"max_steps": 3})


@pytest.mark.parametrize("task", TASKS_TO_COME)
def test_tasks_to_come_are_told_in_one_line(task):
    with pytest.raises(ValidationError, match=f"task {task} is not there yet — this version"):
        recipe(task=task)


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


def test_reading_a_recipe_imports_no_torch():
    program = "import sys, lowkey.experiments.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
