"""Trained tokenizers: sizes, special tokens, the way back to text, the same bytes every time."""

import hashlib
import os
import subprocess
import sys

import pytest

from lowkey.data.tokenizer import TextTokenizer
from lowkey.data.tokenizer_training import train_tokenizer
from lowkey.errors import ConfigError

KINDS = ["whitespace", "character", "bpe", "unigram", "wordpiece"]
STEMS = ["geh", "komm", "seh", "steh", "lauf", "find", "schreib", "les", "Haus", "Bäum"]
ENDINGS = ["en", "e", "st", "t", "end", "er", "ung", "bar", "lich", "", "s", "chen"]
TEXTS = [
    f"{a}{x} und  {b}{y}." for a in STEMS for x in ENDINGS for b in STEMS for y in ENDINGS[::5]
]


@pytest.mark.parametrize("kind", KINDS)
def test_the_size_holds_and_the_special_tokens_come_first(kind):
    tokenizer = train_tokenizer(TEXTS, kind=kind, vocab_size=80)
    assert tokenizer.vocab_size <= 80
    assert tokenizer.tokens([0, 1, 2]) == ["<unk>", "<s>", "</s>"]
    assert (tokenizer.unknown_id, tokenizer.begin_id, tokenizer.end_id) == (0, 1, 2)
    ids = tokenizer.encode(TEXTS[:1]).tokens.values.tolist()
    assert (ids[0], ids[-1]) == (1, 2)
    assert tokenizer.encode(TEXTS[:1], special_tokens=False).tokens.values.tolist() == ids[1:-1]


@pytest.mark.parametrize("kind", ["character", "bpe", "unigram"])
def test_texts_come_back_to_the_last_space(kind):
    tokenizer = train_tokenizer(TEXTS, kind=kind, vocab_size=60)
    for text in [*TEXTS[:50], "en  er", "hcs "]:
        ids = tokenizer.encode([text]).tokens.values.tolist()
        assert tokenizer.decode(ids) == text


def test_words_come_back_joined_by_one_space():
    tokenizer = train_tokenizer(["B EY S AH N Z", "Z EY"], kind="whitespace", vocab_size=20)
    ids = tokenizer.encode(["Z  AH\tEY"], special_tokens=False).tokens.values.tolist()
    assert tokenizer.decode(ids) == "Z AH EY"
    assert tokenizer.tokens(ids) == ["Z", "AH", "EY"]


def test_pieces_of_words_are_joined_again():
    tokenizer = train_tokenizer(TEXTS, kind="wordpiece", vocab_size=60)
    ids = tokenizer.encode(["gehen und seht"]).tokens.values.tolist()
    assert tokenizer.decode(ids) == "gehen und seht"


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_never_seen_is_unknown(kind):
    tokenizer = train_tokenizer(TEXTS, kind=kind, vocab_size=60)
    assert 0 in tokenizer.encode(["漢"]).tokens.values
    assert tokenizer.decode([1, 0, 2]) == ""


def test_subwords_are_shorter_than_characters_and_longer_than_words():
    lengths = [
        train_tokenizer(TEXTS, kind=kind, vocab_size=100).encode(TEXTS).tokens.lengths.sum()
        for kind in ("whitespace", "bpe", "character")
    ]
    assert lengths[0] < lengths[1] < lengths[2]


def test_the_most_frequent_characters_are_kept_when_there_is_no_room_for_all():
    tokenizer = train_tokenizer(["aaaa bbb cc d"], kind="character", vocab_size=6)
    assert tokenizer.tokens(range(6))[3:] == ["a", " ", "b"]


@pytest.mark.parametrize("kind", ["whitespace", "character", "bpe", "wordpiece"])
def test_the_size_holds_even_below_the_number_of_characters(kind):
    assert train_tokenizer(TEXTS, kind=kind, vocab_size=12).vocab_size <= 12


def test_too_small_a_size_for_unigram_is_told():
    with pytest.raises(ConfigError, match="vocab_size 10 is too small for texts of"):
        train_tokenizer(TEXTS, kind="unigram", vocab_size=10)


def test_every_process_trains_the_same_bytes(tmp_path):
    """The library hashes with random seeds: only separate processes can show a difference."""
    code = """
import sys, pathlib
sys.path.insert(0, sys.argv[1])
from test_tokenizer_training import KINDS, TEXTS, train_tokenizer
for kind in KINDS:
    folder = pathlib.Path(sys.argv[2]) / kind
    folder.mkdir(parents=True)
    train_tokenizer(TEXTS, kind=kind, vocab_size=120).save(folder)
"""
    digests = set()
    for number in ("1", "2", "3"):
        folder = tmp_path / number
        subprocess.run(
            [sys.executable, "-c", code, os.path.dirname(__file__), str(folder)],
            env={**os.environ, "PYTHONHASHSEED": number, "RAYON_NUM_THREADS": number},
            check=True,
        )
        files = sorted(folder.rglob("tokenizer.json"))
        assert len(files) == len(KINDS)
        contents = b"".join(path.read_bytes() for path in files)
        digests.add(hashlib.sha256(contents).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_tokenizer_comes_back_equal(kind, tmp_path):
    tokenizer = train_tokenizer(TEXTS, kind=kind, vocab_size=80)
    tokenizer.save(tmp_path)
    again = TextTokenizer.load(tmp_path)
    texts = [*TEXTS[:30], "漢 <s> x"]
    assert (
        again.encode(texts).tokens.values.tolist() == tokenizer.encode(texts).tokens.values.tolist()
    )
    ids = tokenizer.encode(texts[:1]).tokens.values.tolist()
    assert again.decode(ids) == tokenizer.decode(ids)
