"""BPE-dropout against the library's BPE, its letters, and Provilkov's algorithm written out."""

import json
import random
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import tokenizers

from lowkey.data.subword_dropout import SubwordDropout
from lowkey.data.tokenizer import TextTokenizer
from lowkey.data.tokenizer_training import train_tokenizer
from lowkey.errors import ConfigError

CHANCE = random.Random(0)
LEXICON = ["".join(CHANCE.choices("abcde", k=CHANCE.randint(1, 8))) for _ in range(60)]
TEXTS = [" ".join(CHANCE.choices(LEXICON, k=CHANCE.randint(1, 9))) for _ in range(300)]
ODD = ["", " ", "  a  b ", "xyz", "aaaaaaaaab", "ab <s> cd", "é\u2028a", "\u2581\u2581a", "a" * 300]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, kind="bpe", vocab_size=150)


def lists(sequences):
    ends = np.cumsum(sequences.lengths)
    return [part.tolist() for part in np.split(sequences.values, ends[:-1])]


def test_without_dropout_it_is_the_library_s_bpe(tokenizer):
    texts = [*TEXTS, *ODD]
    expected = tokenizer.encode(texts, special_tokens=False).tokens
    assert lists(SubwordDropout(tokenizer, 0.0).encode(texts, seed=1, epoch=0)) == lists(expected)


def test_full_dropout_leaves_the_letters(tokenizer):
    cut = SubwordDropout(tokenizer, 1.0).encode(TEXTS, seed=1, epoch=0)
    for text, ids in zip(TEXTS, lists(cut), strict=True):
        assert "".join(tokenizer.tokens(ids)) == "\u2581" + text.replace(" ", "\u2581")
        assert all(len(token) == 1 for token in tokenizer.tokens(ids))


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_every_cut_spells_the_text_and_depends_on_it_alone(tokenizer, rate):
    dropout = SubwordDropout(tokenizer, rate)
    once = lists(dropout.encode([*TEXTS, *ODD], seed=1, epoch=3))
    for text, ids in zip(TEXTS, once, strict=False):
        assert tokenizer.decode(ids) == text
    fresh = SubwordDropout(tokenizer, rate)
    for i in (307, 5, 0, 250):
        assert lists(fresh.encode([[*TEXTS, *ODD][i]], seed=1, epoch=3)) == [once[i]]
    shuffled = lists(fresh.encode([*TEXTS, *ODD][::-1], seed=1, epoch=3))
    assert shuffled[::-1] == once
    for other in ({"seed": 2, "epoch": 3}, {"seed": 1, "epoch": 4}):
        assert lists(dropout.encode([*TEXTS, *ODD], **other)) != once


def algorithm_1(letters, merges, rate, chance):
    """Provilkov et al., 2020, algorithm 1, word by word."""
    split = list(letters)
    while True:
        possible = [
            (merges[pair], i)
            for i, pair in enumerate(pairwise(split))
            if pair in merges and chance.random() >= rate
        ]
        if not possible:
            return tuple(split)
        _, i = min(possible)
        split[i : i + 2] = [split[i] + split[i + 1]]


@pytest.mark.parametrize("rate", [0.1, 0.4])
def test_cuts_are_distributed_as_in_the_paper(tokenizer, rate):
    word = max(LEXICON, key=len)
    document = json.loads(tokenizer.library.to_str())
    merges = {tuple(pair): rank for rank, pair in enumerate(document["model"]["merges"])}
    trials = 4000
    chance = random.Random(1)
    expected = Counter(algorithm_1("\u2581" + word, merges, rate, chance) for _ in range(trials))
    # As many words of one text, at different places, and the same word in many epochs.
    dropout = SubwordDropout(tokenizer, rate)
    places = tokenizer.tokens(
        dropout.encode([" ".join([word] * trials)], seed=0, epoch=0).values.tolist()
    )
    found = Counter()
    for token in places:
        if token.startswith("\u2581"):
            current = [token]
        else:
            current.append(token)
        if sum(map(len, current)) == len(word) + 1:
            found[tuple(current)] += 1
    epochs = Counter(
        tuple(tokenizer.tokens(dropout.encode([word], seed=0, epoch=e).values.tolist()))
        for e in range(trials // 4)
    )
    for cuts, count in ((found, trials), (epochs, trials // 4)):
        assert sum(cuts.values()) == count
        for split, times in expected.most_common(6):
            share, seen = times / trials, cuts[split] / count
            deviation = (share * (1 - share) * (1 / trials + 1 / count)) ** 0.5
            assert abs(share - seen) < 4 * deviation + 1e-9, split
    assert len(expected) > 3


@pytest.mark.parametrize("kind", ["unigram", "wordpiece", "whitespace", "character"])
def test_other_models_are_refused(kind):
    other = train_tokenizer(TEXTS, kind=kind, vocab_size=100)
    with pytest.raises(ConfigError, match=r"^k leaves out merges of plain BPE, and this tokenizer"):
        SubwordDropout(other, 0.1, key="k")


def test_options_of_bpe_that_change_the_cut_are_refused(tokenizer):
    changed = tokenizers.Tokenizer.from_str(tokenizer.library.to_str())
    changed.model.fuse_unk = True
    with pytest.raises(ConfigError, match="BPE with fuse_unk — set it to 0"):
        SubwordDropout(TextTokenizer(changed), 0.1)
