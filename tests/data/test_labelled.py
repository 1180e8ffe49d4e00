"""Labelled batches, against the tokenizer text by text."""

from itertools import chain

import pytest
import tiny
import torch

from lowkey.data.config import DataConfig
from lowkey.data.labelled import LabelledExamples
from lowkey.data.labels import LabelMap
from lowkey.data.rows import select_rows
from lowkey.data.table import table_of_records
from lowkey.data.tokenizer import TextTokenizer
from lowkey.data.tokenizer_training import train_tokenizer
from lowkey.data.windows import Fit

TEXTS = ["a b", "c", "d e f g h", "b b"]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["a b c d e f g h"], kind="whitespace", vocab_size=20)


def rows_of(labels, pairs=False):
    records = [
        {"text": text, "label": label} | ({"text_pair": text[::-1] + " a"} if pairs else {})
        for text, label in zip(TEXTS, labels, strict=True)
    ]
    table = table_of_records("train.jsonl", records, range(1, 5))
    return select_rows(table, DataConfig(), ("text", "label"))


def test_a_batch_is_its_texts_end_to_end(tokenizer):
    rows = rows_of(["x", "y", "x", "z"])
    examples = LabelledExamples.from_rows(rows, tokenizer, LabelMap.from_rows(rows))
    batch = examples.batch([2, 0, 3])
    wanted = [tokenizer.encode([TEXTS[i]]).tokens.values.tolist() for i in (2, 0, 3)]
    assert batch.input_ids.tolist() == list(chain.from_iterable(wanted))
    assert batch.layout.lengths.tolist() == [7, 4, 4] == examples.lengths[[2, 0, 3]].tolist()
    assert batch.labels.tolist() == [0, 0, 2]
    assert batch.segment_ids is None
    assert batch.input_ids.dtype == batch.labels.dtype == torch.int64
    assert (len(examples), examples.notes("train")) == (4, [])


def test_pairs_have_segments_in_bert_and_two_ends_between_them_in_roberta(tokenizer, tmp_path):
    tiny.write_tokenizer(tmp_path)
    rows = rows_of([0, 1, 0, 1], pairs=True)
    labels = LabelMap.from_rows(rows)
    bert = TextTokenizer.load(tmp_path)
    batch = LabelledExamples.from_rows(rows, bert, labels).batch([1, 0])
    # [CLS] c [SEP] c a [SEP], [CLS] a b [SEP] b a a [SEP]
    assert batch.segment_ids.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1]
    assert batch.segment_ids.dtype == torch.int64
    assert batch.layout.lengths.tolist() == [6, 8]
    single = bert.encode(["c"], ["c a"]).tokens.values.tolist()
    assert batch.input_ids.tolist()[:6] == single
    # <s> c </s> </s> c a </s>, <s> a b </s> </s> b a a </s>
    batch = LabelledExamples.from_rows(rows, tokenizer, labels).batch([1, 0])
    assert batch.layout.lengths.tolist() == [7, 9]
    assert batch.segment_ids.tolist() == [0] * 16
    begin, end = tokenizer.begin_id, tokenizer.end_id
    first = batch.input_ids.tolist()[:7]
    assert [first[i] for i in (0, 2, 3, 6)] == [begin, end, end, end]


def test_regression_keeps_numbers(tokenizer):
    examples = LabelledExamples.from_rows(rows_of([0.5, "1", -2, "3e0"]), tokenizer, None)
    labels = examples.batch([3, 0, 1]).labels
    assert labels.dtype == torch.float32
    assert labels.tolist() == [3.0, 0.5, 1.0]


def test_cut_examples_are_counted(tokenizer):
    rows = rows_of(["x", "y", "x", "z"])
    labels = LabelMap.from_rows(rows)
    examples = LabelledExamples.from_rows(rows, tokenizer, labels, fit=Fit(4))
    assert examples.lengths.tolist() == [4, 3, 4, 4]
    assert "(1 of " in examples.notes("train")[0]


def test_texts_without_labels_make_batches_too(tokenizer):
    batch = LabelledExamples.from_texts(["a", "b c"], None, tokenizer).batch([0, 1])
    assert batch.labels is None
    assert batch.layout.lengths.tolist() == [3, 4]
