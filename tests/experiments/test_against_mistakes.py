"""What makes a fine-tuning impossible is told before a run folder is made."""

from pathlib import Path

import pytest
import tiny
from experiments.tasks import finetuning

from lowkey.errors import ConfigError, DataError
from lowkey.experiments.finetune import finetune

RUN = Path("run")


def refused(recipe, error, words):
    """It is refused with one line, and no run folder is made."""
    with pytest.raises(error, match=words) as caught:
        finetune(recipe, RUN)
    assert "\n" not in str(caught.value)
    assert not RUN.exists()


def test_texts_longer_than_the_positions_are_refused(folder):
    words = (
        r"data\.max_length is 33, but bert has 32 positions — set data\.max_length to 32 or less"
    )
    refused(finetuning("data.max_length=33"), ConfigError, words)
    assert finetune(finetuning("data.max_length=32"), RUN).max_length == 32


def test_a_tokenizer_larger_than_the_embedding_is_refused(folder):
    tiny.write_tokenizer(folder / "bert", [*tiny.VOCABULARY, "more"])
    refused(
        finetuning(), DataError, r"bert: tokenizer has 48 tokens, the embedding 47 rows \(first "
    )


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"text": "a", "label": "positive"}\n{"text": "a"}\n', "label"),
        ("", "is empty"),
        ("not json\n", "rows.jsonl:1"),
        (
            '{"text": "a", "label": "positive", "text_pair": "b"}\n'
            '{"text": "a", "label": "negative", "text_pair": "b"}\n',
            "trained on (single|pairs of) texts",
        ),
        ('{"text": "a", "label": "postive"}\n', '"postive"'),
    ],
)
def test_bad_data_leaves_no_run_behind(split, text, words, folder):
    (folder / "data" / "rows.jsonl").write_text(text)
    refused(finetuning(f"data.{split}=data/rows.jsonl"), DataError, words)


def test_a_recipe_whose_result_could_not_be_saved_is_refused(folder):
    words = r"modules_to_save holds encoder\.pooler, which an adapter cannot hold"
    recipe = finetuning("lora.modules_to_save=[classifier, encoder.pooler]")
    refused(recipe, ConfigError, words)
