"""Tokenizers of a training: learned or opened, and what is said about them."""

import pytest

from lowkey.data.config import DataConfig, TokenizerConfig
from lowkey.data.rows import select_rows
from lowkey.data.table import table_of_records
from lowkey.data.tokenizer_training import train_tokenizer
from lowkey.errors import ConfigError, MissingInputError
from lowkey.experiments.config import Tokenizers
from lowkey.experiments.pair_tokenizers import pair_tokenizers, tokenizer_hashes

RECORDS = [{"source": "ab abc", "target": "xy xyz"}, {"source": "abd", "target": "xyw qrstuv"}] * 3


@pytest.fixture
def rows():
    table = table_of_records("t.jsonl", RECORDS, range(1, 7))
    return select_rows(table, DataConfig(), ("source", "target"))


def test_a_vocabulary_that_stays_small_is_told(rows):
    said = []
    config = Tokenizers(
        source=TokenizerConfig(vocab_size=500), target=TokenizerConfig(vocab_size=9)
    )
    source, _ = pair_tokenizers(config, rows, said.append)
    assert said == [
        f"note: tokenizer.source has {source.vocab_size} entries, not 500: the training texts hold"
        " no more"
    ]
    said.clear()
    pair_tokenizers(Tokenizers(source=TokenizerConfig(kind="whitespace")), rows, said.append)
    assert not any("source" in line for line in said)  # there are so many words, and that is that


def test_a_path_takes_the_place_of_training(rows, tmp_path):
    made = train_tokenizer(["zzz"], kind="bpe", vocab_size=20)
    made.save(tmp_path)
    given = TokenizerConfig(path=str(tmp_path))
    source, target = pair_tokenizers(Tokenizers(source=given), rows, print)
    assert source.vocab_size == made.vocab_size != target.vocab_size
    both = pair_tokenizers(Tokenizers(source=given, joint=True), rows, print)
    assert both[0] is both[1]
    hashes = tokenizer_hashes(Tokenizers(source=given), source, target)
    assert hashes.keys() == {"tokenizer.source.path"}
    train_tokenizer(["zzy"], kind="bpe", vocab_size=20).save(tmp_path)
    changed, _ = pair_tokenizers(Tokenizers(source=given), rows, print)
    assert tokenizer_hashes(Tokenizers(source=given), changed, target) != hashes


def test_what_cannot_be_is_named_by_its_key(rows, tmp_path):
    small = Tokenizers(target=TokenizerConfig(kind="unigram", vocab_size=8))
    with pytest.raises(ConfigError, match=r"^tokenizer\.target\.vocab_size 8 is too small"):
        pair_tokenizers(small, rows, print)
    missing = Tokenizers(target=TokenizerConfig(path=str(tmp_path / "x.model")))
    with pytest.raises(MissingInputError, match=r"^tokenizer\.target\.path: no such file"):
        pair_tokenizers(missing, rows, print)
