"""Source and target batches, against their definition written out."""

import pytest

from lowkey.data.config import DataConfig
from lowkey.data.pairs import PairExamples, encode_sources, flat_batch
from lowkey.data.rows import select_rows
from lowkey.data.table import table_of_records
from lowkey.data.tokenizer_training import train_tokenizer
from lowkey.errors import DataError

SOURCES = ["a b c", "d", "b b a a d"]
TARGETS = ["X Y", "Z Z Z", "X"]


@pytest.fixture(scope="module")
def tokenizers():
    return (
        train_tokenizer(SOURCES, kind="whitespace", vocab_size=20),
        train_tokenizer(TARGETS, kind="whitespace", vocab_size=20),
    )


@pytest.fixture(scope="module")
def rows():
    pairs = zip(SOURCES, TARGETS, strict=True)
    records = [{"source": source, "target": target} for source, target in pairs]
    table = table_of_records("train.jsonl", records, [1, 2, 3])
    return select_rows(table, DataConfig(), ("source", "target"))


def names(tokenizer, ids):
    return " ".join(tokenizer.tokens(ids.tolist()))


def test_the_decoder_reads_begin_and_says_end(tokenizers, rows):
    batch = PairExamples.from_rows(rows, *tokenizers).batch([2, 0])
    assert names(tokenizers[0], batch.source_ids) == "b b a a d </s> a b c </s>"
    assert names(tokenizers[1], batch.target_input_ids) == "<s> X <s> X Y"
    assert names(tokenizers[1], batch.target_labels) == "X </s> X Y </s>"
    assert batch.source_layout.lengths.tolist() == [6, 4]
    assert batch.target_layout.lengths.tolist() == [2, 3]


def test_lengths_count_both_sides(tokenizers, rows):
    examples = PairExamples.from_rows(rows, *tokenizers)
    assert examples.lengths.tolist() == [4 + 3, 2 + 4, 6 + 2]
    assert (len(examples), examples.truncated_share) == (3, 0)


def test_too_long_is_an_error_that_says_what_would_do(tokenizers, rows):
    with pytest.raises(DataError) as caught:
        PairExamples.from_rows(rows, *tokenizers, max_length=4)
    assert str(caught.value) == (
        "33 % of the sources are longer than data.max_length 4 (median 4; first: train.jsonl:3)"
        " and would be cut — raise it to 6, or set data.truncate: true to accept this"
    )
    assert PairExamples.from_rows(rows, *tokenizers, max_length=6).num_truncated == 0


def test_cutting_keeps_the_end_token(tokenizers, rows):
    examples = PairExamples.from_rows(rows, *tokenizers, max_length=3, truncate=True)
    batch = examples.batch([2, 1, 0])
    assert names(tokenizers[0], batch.source_ids) == "b b </s> d </s> a b </s>"
    assert names(tokenizers[1], batch.target_labels) == "X </s> Z Z </s> X Y </s>"
    assert examples.num_truncated == 3


def test_a_few_long_outliers_do_not_decide_the_advice(tokenizers):
    texts = ["a"] * 198 + ["a " * 9, "a " * 400]
    records = [{"source": text, "target": "X"} for text in texts]
    table = table_of_records("t", records, range(1, 201))
    rows = select_rows(table, DataConfig(), ("source", "target"))
    with pytest.raises(DataError, match=r"^1 % of .*raise it to 401 \(10 covers 99 %\)"):
        PairExamples.from_rows(rows, *tokenizers, max_length=8)


def test_sources_alone_are_encoded_as_in_training(tokenizers, rows):
    ids, layout = flat_batch(PairExamples.from_rows(rows, *tokenizers).sources)
    alone = encode_sources(SOURCES, tokenizers[0])
    assert flat_batch(alone)[0].tolist() == ids.tolist()
    assert layout.num_sentences == 3
