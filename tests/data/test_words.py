from functools import cache

import numpy as np
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from lowkey.data.tokenizer import TextTokenizer
from lowkey.data.words import encode_words
from lowkey.errors import DataError

SENTENCES = [
    ["The", "films", "was", "not", "good-bad", "!"],
    ["a"],
    ["greatly", "films", "xyz?", "very", "very"],
]
TEXTS = [" ".join(sentence) for sentence in SENTENCES] * 3


def bert():
    ids = {token: i for i, token in enumerate(tiny.VOCABULARY)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(tiny.SPECIAL_TOKENS)
    return tokenizer


def roberta():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def xlm_roberta():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=60, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


FAMILIES = pytest.mark.parametrize("make", [bert, roberta, xlm_roberta])


@cache
def document(make):
    """Each is trained once: two trainings may break a tie differently."""
    return make().to_str()


def tokenizer_of(make):
    return TextTokenizer(Tokenizer.from_str(document(make)))


def theirs(make, sentences):
    """Tokens and words of transformers, for words that are split already."""
    from transformers import PreTrainedTokenizerFast

    library = Tokenizer.from_str(document(make))
    if make is roberta:  # which transformers asks for where words are split
        library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=library)
    found = [wrapped(s, is_split_into_words=True, add_special_tokens=False) for s in sentences]
    return [(one["input_ids"], one.word_ids()) for one in found]


@FAMILIES
def test_words_become_the_tokens_that_transformers_makes_of_them(make):
    tokenizer = tokenizer_of(make)
    ours = encode_words(SENTENCES, tokenizer)
    for i, (ids, owners) in enumerate(theirs(make, SENTENCES)):
        tokens = ours.tokens.take([i]).values.tolist()
        assert tokens == [tokenizer.begin_id, *ids, tokenizer.end_id]
        firsts = [owners.index(word) + 1 for word in range(len(SENTENCES[i]))]
        assert ours.first.take([i]).values.tolist() == firsts
    assert ours.num_words.tolist() == [6, 1, 5]
    assert len(ours.tokens.values) > ours.num_words.sum() + 6  # some words are in pieces


@FAMILIES
def test_words_of_a_text_are_read_as_the_text_is(make):
    """But for its beginning, where some tokenizers write no space."""
    tokenizer = tokenizer_of(make)
    words = encode_words([SENTENCES[0]], tokenizer)
    text = tokenizer.encode([" " + " ".join(SENTENCES[0])])
    assert words.tokens.values.tolist() == text.tokens.values.tolist()


WORDS = st.lists(st.sampled_from(["the", "films", "good", "\u200b", "a-b-c", "xyz"]), min_size=1)


@given(st.lists(WORDS, min_size=1, max_size=4), st.integers(4, 12))
def test_a_cut_keeps_the_first_tokens_and_the_words_that_begin_there(sentences, max_length):
    tokenizer = tokenizer_of(bert)
    whole, cut = (encode_words(sentences, tokenizer, length) for length in (None, max_length))
    assert cut.num_words.tolist() == whole.num_words.tolist() == [len(s) for s in sentences]
    for i in range(len(sentences)):
        tokens, kept = (part.tokens.take([i]).values.tolist() for part in (whole, cut))
        first, read = (part.first.take([i]).values.tolist() for part in (whole, cut))
        assert kept == [*tokens[:-1][: max_length - 1], tokens[-1]]
        assert read == [place for place in first if place < max_length - 1]
        assert len(first) == len(sentences[i])
        assert (i in cut.cut) == (len(tokens) > max_length)
    assert cut.too_long == [len(whole.tokens.take([i]).values) for i in cut.cut]


def test_a_word_of_which_nothing_is_left_is_read_as_unknown_and_told():
    tokenizer = tokenizer_of(bert)
    sentences = [["the", "\u200b"], ["\u200b", "film", "\u200b"]]
    found = encode_words(sentences, tokenizer)
    unknown = tokenizer.unknown_id
    assert found.unreadable == [(0, 1), (1, 0), (1, 2)]
    assert found.first.lengths.tolist() == [2, 3]
    starts = found.tokens.starts
    for sentence, word in found.unreadable:
        place = found.first.take([sentence]).values[word]
        assert found.tokens.values[starts[sentence] + place] == unknown
    # Negative control: a word that the tokenizer knows is not.
    assert encode_words([["the"]], tokenizer).unreadable == []
    # What is cut off is not read at all.
    assert encode_words([["the", "film", "\u200b"]], tokenizer, 4).unreadable == []


def test_without_an_unknown_token_such_a_word_is_refused(monkeypatch):
    tokenizer = tokenizer_of(bert)
    monkeypatch.setattr(tokenizer, "unknown_id", None)
    with pytest.raises(DataError, match="makes no token of the word"):
        encode_words([["the", "\u200b"]], tokenizer)
    assert np.all(encode_words([["the"]], tokenizer).num_words == 1)


def test_a_sentence_without_words_is_none():
    with pytest.raises(ValueError, match="needs words"):
        encode_words([["a"], []], tokenizer_of(bert))
