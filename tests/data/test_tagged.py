import json

import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from lowkey.data.config import DataConfig
from lowkey.data.flat import FlatSequences
from lowkey.data.labels import LabelMap
from lowkey.data.sources import read_rows
from lowkey.data.tagged import TaggedExamples
from lowkey.data.tokenizer import TextTokenizer
from lowkey.errors import DataError

WORDS = st.lists(st.sampled_from(["the", "films", "a-b-c", "xyz"]), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny.write_tokenizer(folder)
    return TextTokenizer.load(folder)


@given(st.data(), st.lists(WORDS, min_size=1, max_size=5), st.sampled_from([None, 5, 7]))
def test_a_batch_holds_the_first_subword_and_the_tag_of_every_word_read(
    tokenizer, data, sentences, max_length
):
    tags = [[10 * i + j for j in range(len(s))] for i, s in enumerate(sentences)]
    examples = TaggedExamples.from_words(
        sentences, tokenizer, tags=FlatSequences.of(tags), max_length=max_length, truncate=True
    )
    ids = data.draw(st.lists(st.sampled_from(range(len(sentences))), min_size=1, max_size=7))
    batch = examples.batch(ids)
    # The oracle: word by word, one list after the other.
    tokens, rows, expected = [], [], []
    for i in ids:
        inner, firsts = [], []
        for word in sentences[i]:
            firsts.append(len(inner))
            inner += tokenizer.encode([word], special_tokens=False).tokens.values.tolist()
        longest = len(inner) if max_length is None else max_length - 2
        read = [place for place in firsts if place < longest]
        rows += [len(tokens) + 1 + place for place in read]
        expected += tags[i][: len(read)]
        tokens += [tokenizer.begin_id, *inner[:longest], tokenizer.end_id]
    assert batch.input_ids.tolist() == tokens
    assert batch.first.tolist() == rows
    assert batch.tags.tolist() == expected
    assert batch.layout.lengths.tolist() == examples.lengths[ids].tolist()


def test_sentences_without_tags_make_batches_too(tokenizer):
    examples = TaggedExamples.from_words([["the", "films"], ["a"]], tokenizer)
    assert len(examples) == 2
    assert examples.batch([1, 0]).tags is None


def test_rows_keep_their_order_and_their_places(tokenizer, tmp_path):
    rows = [{"tokens": ["the"], "tags": ["X"]}, {"tokens": ["a"] * 6, "tags": ["O"] * 6}]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    read = read_rows(str(path), DataConfig(), ("tokens", "tags"), key="data.train")
    tags = LabelMap(["O", "X"])
    examples = TaggedExamples.from_rows(read, tokenizer, tags)
    assert examples.tags.values.tolist() == [1, *[0] * 6]
    with pytest.raises(DataError) as caught:
        TaggedExamples.from_rows(read, tokenizer, tags, max_length=7)
    assert str(caught.value).startswith(f"{path}:2: this sentence has 8 tokens, the model reads 7")
    cut = TaggedExamples.from_rows(read, tokenizer, tags, max_length=7, truncate=True)
    assert cut.words.first.lengths.tolist() == [1, 5]
    assert cut.tags.lengths.tolist() == [1, 6]  # scoring counts the word that is cut off
