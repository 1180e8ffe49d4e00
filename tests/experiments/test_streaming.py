"""A stream needs to be told what cannot be known of it."""

import pytest

from lowkey.data.config import DataConfig
from lowkey.experiments.streaming import refuse_endless
from lowkey.training.config import TrainConfig

WHOLE = {"streaming": True, "validation": "dev.jsonl", "empty": "drop", "truncate": True}


def test_a_whole_recipe_is_let_through():
    refuse_endless(DataConfig(**WHOLE), TrainConfig(max_steps=3))


@pytest.mark.parametrize(
    ("changes", "max_steps", "words"),
    [
        ({}, None, r"set train\.max_steps"),
        ({"validation": None}, 3, r"set data\.validation"),
        ({"empty": "error"}, 3, r"set data\.empty: drop and data\.truncate: true"),
        ({"truncate": False}, 3, r"set data\.empty: drop and data\.truncate: true"),
    ],
)
def test_what_is_missing_is_named(changes, max_steps, words):
    with pytest.raises(ValueError, match=words):
        refuse_endless(DataConfig(**WHOLE | changes), TrainConfig(max_steps=max_steps))
