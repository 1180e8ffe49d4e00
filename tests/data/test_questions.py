"""Questions in windows, against the tokenizers library and by their definition."""

import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from lowkey.data.pieces import take_apart
from lowkey.data.questions import NOWHERE, QuestionExamples
from lowkey.data.tokenizer import TextTokenizer
from lowkey.data.tokenizer_training import train_tokenizer
from lowkey.data.windows import Fit
from lowkey.errors import DataError

WORDS = st.sampled_from(["a", "bb", "film", "films", "good!", "\u200b", "é", "very-good", "  "])
CONTEXT = st.lists(WORDS, min_size=1, max_size=14).map(" ".join).filter(str.strip)
QUESTION = st.sampled_from(["a", "is the film", "films ?", "b\u200bb"])


def byte_tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {t: i for i, t in enumerate(["<s>", "<pad>", "</s>", "<unk>", *letters, "Ġb"])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("Ġ", "b")], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return TextTokenizer(tokenizer)


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    tiny.write_tokenizer(folder)
    unigram = train_tokenizer(["a bb film films good ! very"], kind="unigram", vocab_size=40)
    return [TextTokenizer.load(folder), unigram, byte_tokenizer()]


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_windows_are_the_librarys_and_their_characters_the_contexts(tokenizers, data):
    tokenizer = tokenizers[data.draw(st.integers(0, 2))]
    question, context = data.draw(QUESTION), data.draw(CONTEXT)
    asked = len(tokenizer.encode([question], special_tokens=False).tokens.values)
    fit = Fit(asked + 4 + data.draw(st.integers(5, 9)), "window", data.draw(st.integers(0, 3)))
    examples = QuestionExamples.from_texts([question], [context], tokenizer, fit)
    library = tokenizer.library
    try:
        library.enable_truncation(fit.max_length, stride=fit.shared, strategy="only_second")
        encoded = library.encode(question, context)
        expected = [encoded, *encoded.overflowing]
    finally:
        library.no_truncation()
    assert examples.windows.tolist() == [len(expected)] == [len(examples.tokens)]
    for i, window in enumerate(expected):
        batch = examples.batch([i])
        assert batch.input_ids.tolist() == window.ids
        # In RoBERTa's windows behind the first the library has segments that no RoBERTa knows.
        kinds = window.type_ids if tokenizer.frame.segments else [0] * len(window.ids)
        assert batch.segment_ids.tolist() == kinds
        where = slice(examples.tokens.starts[i], examples.tokens.starts[i] + len(window.ids))
        places = zip(examples.starts[where], examples.ends[where], window.offsets, strict=True)
        for (start, end, offsets), text in zip(places, window.sequence_ids, strict=True):
            if text != 1:
                assert (start, end) == (NOWHERE, NOWHERE)
            else:
                assert context[start:end] == context[slice(*offsets)].strip()
                assert start < end or context[slice(*offsets)].isspace() or offsets[0] == offsets[1]


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_the_span_of_a_window_is_the_answer_or_the_window_does_not_hold_it(tokenizers, data):
    tokenizer = tokenizers[data.draw(st.integers(0, 2))]
    context = data.draw(CONTEXT)
    (part,) = take_apart([context], tokenizer)
    if not len(part.ids):
        return
    first = data.draw(st.integers(0, len(part.ids) - 1))
    last = data.draw(st.integers(first, len(part.ids) - 1))
    start, end = int(part.starts[first]), int(part.ends[last])
    if context[start:end] != context[start:end].strip() or start >= end:
        return  # a token that is white space at one of the ends
    examples = QuestionExamples.from_texts(
        ["a"],
        [context],
        tokenizer,
        Fit(5 + data.draw(st.integers(4, 9)), "window", 2),
        answers=[([context[start:end]], [start])],
    )
    held = []
    for i, (one, other) in enumerate(examples.spans.tolist()):
        begin = examples.tokens.starts[i]
        if (one, other) == (0, 0):
            continue
        held.append(i)
        assert examples.starts[begin + one] <= start
        assert examples.ends[begin + other] >= end
        assert context[examples.starts[begin + one] : examples.ends[begin + other]].strip() != ""
        # No token less would do.
        assert one == other or examples.ends[begin + one] > start
        assert one == other or examples.starts[begin + other] < end
    assert held or last - first + 1 > 2  # what the stride holds is whole in one window


def test_an_answer_is_marked_by_hand(tokenizers):
    context = "the very good film was dull"
    examples = QuestionExamples.from_texts(
        ["is it", "is it", "is it"],
        [context] * 3,
        tokenizers[0],
        Fit(10, "window", 1),
        answers=[(["very good"], [4]), (["dull"], [23]), ([], [])],
    )
    # [CLS] is [UNK] [SEP], five words of the context, [SEP]
    before = 4
    assert examples.windows.tolist() == [2, 2, 2]
    assert examples.spans.tolist() == [
        *([before + 1, before + 2], [0, 0]),
        *([0, 0], [before + 1, before + 1]),
        *([0, 0], [0, 0]),
    ]
    assert examples.answer_lengths.tolist() == [2, 1, 0]
    assert [note.split(" (")[0] for note in examples.notes("train", 1)] == [
        "note: 100.0% of the train questions have a context that is read in several windows",
        "note: 1 of the train answers have more than 1 tokens and cannot be found",
        "note: 33.3% of the train questions have no answer",
    ]


def test_a_context_that_cannot_be_read_is_refused_with_its_place(tokenizers):
    def read(fit, **changes):
        return QuestionExamples.from_texts(["a b"], ["c d e f g"], tokenizers[0], fit, **changes)

    assert len(read(Fit(10, "error")).tokens) == 1
    with pytest.raises(DataError) as caught:
        read(Fit(9, "error"), places=["q.jsonl:7"])
    assert str(caught.value) == (
        "q.jsonl:7: the context has 5 tokens, 4 fit beside the question — shorten it, or set"
        " data.long_texts: window"
    )
    with pytest.raises(
        DataError, match="question 1: of the 7 tokens that the model reads, 2 are le"
    ):
        read(Fit(7, "window", 2))
