"""Windows over long texts, against the windows of the tokenizers library."""

import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from lowkey.data.tokenizer import TextTokenizer
from lowkey.data.tokenizer_training import train_tokenizer
from lowkey.data.windows import Fit, fit_to_length, window_starts
from lowkey.errors import DataError

TEXT = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=30).map(" ".join)


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    tiny.write_tokenizer(folder)
    roberta = train_tokenizer(["a b c d e f g h"], kind="whitespace", vocab_size=20)
    return [TextTokenizer.load(folder), roberta]


def theirs(tokenizer, text, pair, fit):
    """What the library makes of a long text: its first window, and those it calls overflowing."""
    library = tokenizer.library
    count = [len(tokenizer.encode([t], special_tokens=False).tokens.values) for t in (text, pair)]
    strategy = "only_first" if count[0] > count[1] else "only_second"
    try:
        library.enable_truncation(
            fit.max_length, stride=fit.shared, strategy=strategy if pair else "only_first"
        )
        encoded = library.encode(text, pair) if pair else library.encode(text)
        return [(e.ids, e.type_ids) for e in (encoded, *encoded.overflowing)]
    finally:
        library.no_truncation()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_windows_are_those_of_the_library(tokenizers, data):
    tokenizer = tokenizers[data.draw(st.integers(0, 1))]
    texts = data.draw(st.lists(TEXT, min_size=1, max_size=4))
    paired = data.draw(st.booleans())
    pairs = [data.draw(TEXT.filter(lambda t: len(t) < 12)) for _ in texts] if paired else None
    fit = Fit(data.draw(st.integers(14, 24)), "window", data.draw(st.integers(0, 3)))
    fitted = fit_to_length(texts, pairs, tokenizer, fit)
    windows = [1] * len(texts) if fitted.windows is None else fitted.windows.tolist()
    place = token = 0
    for i, count in enumerate(windows):
        expected = theirs(tokenizer, texts[i], pairs[i] if pairs else "", fit)
        assert len(expected) == count
        for ids, kinds in expected:
            assert fitted.tokens.take([place]).values.tolist() == ids
            if fitted.segment_ids is not None:
                # In RoBERTa's windows behind the first the library has segments no RoBERTa knows.
                kinds = kinds if tokenizer.frame.segments else [0] * len(ids)
                assert fitted.segment_ids[token : token + len(ids)].tolist() == kinds
            place, token = place + 1, token + len(ids)
    assert place == len(fitted.tokens)
    assert fitted.whole.tolist() == tokenizer.encode(texts, pairs).tokens.lengths.tolist()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 60), st.integers(1, 12), st.data())
def test_every_token_is_in_a_window_and_neighbours_share_the_stride(length, room, data):
    stride = data.draw(st.integers(0, room - 1))
    starts = window_starts(length, room, stride)
    ends = [min(start + room, length) for start in starts]
    assert sorted({i for s, e in zip(starts, ends, strict=True) for i in range(s, e)}) == list(
        range(length)
    )
    assert all(end - start == stride for end, start in zip(ends, starts[1:], strict=False))
    assert ends[-1] == length
    assert all(end < length for end in ends[:-1])


def test_a_window_that_does_not_get_ahead_is_refused(tokenizers):
    with pytest.raises(ValueError, match="windows of 4 tokens cannot share 4"):
        window_starts(9, 4, 4)
    with pytest.raises(DataError) as caught:
        fit_to_length(["a b c d e f"], ["a b c d e"], tokenizers[0], Fit(9, "window", 1))
    assert str(caught.value) == (
        "text 1: of the 9 tokens that the model reads, 1 are left for a window, of which the next"
        " one is to share 1 — shorten the shorter text, raise data.max_length or lower data.stride"
    )


def test_long_texts_are_cut_as_the_library_cuts_or_refused_with_their_place(tokenizers):
    texts, pairs = ["a", "a b c d e f g", "b c"], ["b", "c d e", "a b c d e f"]
    for tokenizer in tokenizers:
        fitted = fit_to_length(texts, pairs, tokenizer, Fit(8))
        cut = tokenizer.encode(texts, pairs, max_length=8)
        assert np.array_equal(fitted.tokens.values, cut.tokens.values)
        assert np.array_equal(fitted.segment_ids, cut.segment_ids)
        assert fitted.windows is None
    places = ["a.jsonl:1", "a.jsonl:2", "a.jsonl:3"]
    with pytest.raises(DataError) as caught:
        fit_to_length(texts, None, tokenizers[0], Fit(5, "error"), places=places)
    assert str(caught.value) == (
        "a.jsonl:2: this text has 9 tokens, the model reads 5 at most (1 of 3, 33.3%, are longer)"
        " — shorten it"
    )


def test_a_quarter_of_a_window_is_shared_where_nobody_says_how_much():
    assert (Fit(20).shared, Fit(20, stride=3).shared) == (5, 3)
