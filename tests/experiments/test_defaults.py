"""The table of defaults is what recipes are filled in from, and nothing else is."""

import pytest
import tiny_tasks

from lowkey.experiments import defaults as room
from lowkey.experiments.config import FinetuneRecipe, TranslationRecipe
from lowkey.experiments.defaults import DEFAULTS, Default, defaults_for, filled_in
from lowkey.lora.config import LoRAConfig

METHODS = ("lora", "full", "head", "bitfit")
TASKS = ("auto", "classify", "pair", "regress", "tag")
GIVEN = {"data": {"train": "a.jsonl"}, "model": {"path": "bert"}}


def value_at(recipe, key):
    section, _, name = key.partition(".")
    return getattr(getattr(recipe, section), name)


@pytest.mark.parametrize("row", DEFAULTS, ids=lambda row: f"{row.key}-{row.methods}")
def test_changing_a_row_changes_the_recipes_that_it_is_for(row, monkeypatch):
    other = "qv" if row.value == "all-linear" else row.value * 2
    others = tuple(Default(**vars(r) | ({"value": other} if r is row else {})) for r in DEFAULTS)
    before = {m: value_at(FinetuneRecipe(**GIVEN, method=m), row.key) for m in METHODS}
    monkeypatch.setattr(room, "DEFAULTS", others)
    for method in METHODS:
        recipe = FinetuneRecipe(**GIVEN, method=method)
        found = value_at(recipe, row.key)
        assert found == (other if row.holds(method) else before[method])
    assert row.why
    assert row.source


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("method", METHODS)
def test_a_recipe_without_a_word_has_the_values_of_the_table(method, task):
    recipe = FinetuneRecipe(**GIVEN, method=method, task=task)
    found = defaults_for(method)
    assert {"train.learning_rate", "train.warmup_steps", "train.num_train_epochs"} <= found.keys()
    for key, default in found.items():
        assert key in tiny_tasks.keys_of(FinetuneRecipe)
        assert value_at(recipe, key) == default.value


def test_what_the_recipe_says_is_kept():
    said = {"train": {"learning_rate": 0.5, "batch_tokens": 7}, "lora": {"r": 3}}
    recipe = FinetuneRecipe(**GIVEN | said)
    assert (recipe.train.learning_rate, recipe.lora.r, recipe.lora.lora_alpha) == (0.5, 3, 16)
    assert recipe.train.per_device_train_batch_size is None
    assert said == {"train": {"learning_rate": 0.5, "batch_tokens": 7}, "lora": {"r": 3}}


def test_a_section_that_is_none_is_left_for_others_to_refuse():
    assert filled_in({"train": 3}, defaults_for("full").values())["train"] == 3


def test_a_translator_that_goes_on_learns_at_the_rate_of_its_method():
    start = {"data": {"train": "a.tsv"}, "start_from": "opus"}
    for method, rate in (("full", 5e-5), ("lora", 5e-4)):
        assert TranslationRecipe(**start, method=method).train.learning_rate == rate
    assert TranslationRecipe(**start).train.warmup_steps == 0


def test_lora_without_a_recipe_means_the_same():
    values = {key: d.value for key, d in defaults_for("lora").items() if "lora" in key}
    assert values == {key: value_at(FinetuneRecipe(**GIVEN), key) for key in values}
    assert values == {key: getattr(LoRAConfig(), key.partition(".")[2]) for key in values}
