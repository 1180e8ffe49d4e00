"""The data section of a recipe."""

import subprocess
import sys

import pytest

from lowkey.config import load_recipe
from lowkey.data.config import DataConfig, TokenizerConfig
from lowkey.errors import ConfigError


def load(tmp_path, text, cls=DataConfig):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return load_recipe(cls, path)


def test_a_full_section_is_read(tmp_path):
    config = load(
        tmp_path,
        "train: a.csv\ncolumns: {text: sentence}\nencoding: cp1252\ndelimiter: ';'\n"
        "empty: drop\nmax_length: 64\nlabels: [no, 1]\n".replace("no", '"no"'),
    )
    assert config.columns == {"text": "sentence"}
    assert config.labels == ["no", 1]


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("columns: {txt: sentence}", "text"),
        ("encoding: utf-88", "utf-88"),
        ("encoding: zlib", "zlib"),
        ("delimiter: '::'", "delimiter"),
        ("delimiter: '\"'", "delimiter"),
        ("max_length: 0", "max_length"),
        ("labels: [a, a]", "twice"),
        ("labels: [1, '1']", "twice"),
        ("empty: keep", "empty"),
        ("text_column: sentence", "text_column"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_it(tmp_path, text, needed):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert needed in message
    assert "recipe.yaml:1" in message
    assert "\n" not in message


def test_tokenizer_sizes_are_bounded(tmp_path):
    assert load(tmp_path, "kind: character", TokenizerConfig).vocab_size == 8000
    with pytest.raises(ConfigError, match="vocab_size"):
        load(tmp_path, "vocab_size: 1000000000", TokenizerConfig)


def test_reading_the_section_imports_neither_torch_nor_datasets():
    code = (
        "import sys, lowkey.data.config; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'datasets', 'tokenizers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
