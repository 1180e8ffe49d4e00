from pathlib import Path

import pytest

from lowkey.config import load_recipe
from lowkey.errors import ConfigError
from lowkey.experiments.compare_config import CompareConfig, CompareRecipe


def recipe(*settings: str) -> CompareRecipe:
    return load_recipe(
        CompareRecipe, Path("classify.yaml"), ["data.test=data/dev.jsonl", *settings]
    )


def test_a_recipe_of_finetune_compares_all_methods_with_full(folder):
    config = recipe().compare
    assert config.contenders == {
        name: {"method": name} for name in ("lora", "full", "head", "bitfit")
    }
    assert config.yardstick == "full"
    assert config.seeds == [1, 2, 3, 4, 5]


def test_the_yardstick_is_the_first_where_there_is_no_full():
    few = {"a": {"lora.r": 2}, "b": {"lora.r": 4}}
    assert CompareConfig(contenders=few).yardstick == "a"
    assert CompareConfig(contenders=few, against="b").yardstick == "b"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["compare.seeds=[1, 2, 1]"], "compare.seeds names a value twice"),
        (["compare.rate_factors=[1.0, 1.0]"], "compare.rate_factors names a value twice"),
        (["compare.rate_factors=[0.0]"], "compare.rate_factors"),
        (["compare.seeds=[]"], "compare.seeds"),
        (["compare.against=lorra"], 'compare.against "lorra" is none of the contenders'),
        (
            ["compare.contenders={a/b: {}}"],
            'compare.contenders has "a/b", which becomes the name of a folder',
        ),
        (["compare.contenders={..: {}}"], "which becomes the name of a folder"),
        (["data.test=null"], "data.test is not set"),
        (["task=mlm"], "task mlm has no labels to compare methods by"),
        (["compare.contestants={}"], "did you mean contenders?"),
    ],
)
def test_what_cannot_be_compared_is_refused(folder, settings, said):
    with pytest.raises(ConfigError) as caught:
        recipe(*settings)
    assert said in str(caught.value)
