import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowkey.data.tokenizer_training import train_tokenizer
from lowkey.errors import DataError
from lowkey.pipelines.long_texts import fit_texts, long_note, split_text

WORDS = train_tokenizer(["a b c d . ! ?"], kind="whitespace", vocab_size=20)
LETTERS = train_tokenizer(["abcd .!?"], kind="character", vocab_size=20)


def tokens(fitting):
    return [fitting.sources.take([i]).values.tolist() for i in range(len(fitting.sources))]


def test_texts_that_fit_stay_as_they_are():
    for long in ("error", "truncate", "split"):
        for limit in (None, 4):
            fitting = fit_texts(["a b c", "", "d"], WORDS, limit, long=long)
            assert (fitting.owners, fitting.parts, fitting.num_long) == ([0, 1, 2], [0, 0, 0], 0)
            assert tokens(fitting) == tokens(fit_texts(["a b c", "", "d"], WORDS, None))


def test_a_long_text_is_refused_by_its_place():
    texts = ["a", "a b c d", "a b c d a"]
    with pytest.raises(DataError) as caught:
        fit_texts(texts, WORDS, 4, places=["f:1", "f:2", "f:7"])
    assert str(caught.value) == (
        "f:2: has 5 tokens, the model reads 4 at most (and 1 more)"
        " — --long split translates it in pieces, --long truncate cuts off its end"
    )
    with pytest.raises(DataError, match="text 3: has 6 tokens, the model reads 5 at most — --lo"):
        fit_texts(texts, WORDS, 5)


def test_a_cut_text_keeps_its_end_token():
    fitting = fit_texts(["a b c d", "a"], WORDS, 3, long="truncate")
    assert tokens(fitting) == tokens(fit_texts(["a b", "a"], WORDS, None))
    assert (fitting.owners, fitting.num_long) == ([0, 1], 1)


def test_pieces_know_their_text_and_their_place_in_it():
    fitting = fit_texts(["d", "a b c d a", "b"], WORDS, 4, long="split")
    assert fitting.owners == [0, 1, 1, 2]
    assert fitting.parts == [0, 0, 1, 0]
    assert fitting.num_long == 1
    assert tokens(fitting) == tokens(fit_texts(["d", "a b", "c d a", "b"], WORDS, None))


@pytest.mark.parametrize(
    ("text", "limit", "pieces"),
    [
        ("a b. c d a b. c", 6, ["a b.", "c d a b. c"]),
        ("a b. c d a b. c", 5, ["a b.", "c d a b.", "c"]),
        ("a b! c d? a b.", 5, ["a b!", "c d? a b."]),
        ('"a b." c d a b', 5, ['"a b."', "c d a b"]),
        ("a b c d a b", 4, ["a b c", "d a b"]),
        ("a.b c", 3, ["a.b c"]),
    ],
)
def test_cuts_are_made_at_the_ends_of_sentences_if_there_are_any(text, limit, pieces):
    assert list(split_text(text, WORDS, limit)) == pieces


def test_scripts_without_spaces_are_cut_behind_their_marks():
    han = train_tokenizer(["一二三四。"], kind="character", vocab_size=20)
    assert list(split_text("一二三。四一二。", han, 6)) == ["一二三。", "四一二。"]


@settings(max_examples=100, deadline=None)
@given(text=st.text("abcd .!?", max_size=80), limit=st.integers(2, 12))
def test_every_piece_fits_and_nothing_but_white_space_is_lost(text, limit):
    for tokenizer in (WORDS, LETTERS):
        pieces = list(split_text(text, tokenizer, limit))
        assert "".join("".join(pieces).split()) == "".join(text.split())
        assert max(fit_texts(pieces, tokenizer, None).sources.lengths, default=0) <= limit


def test_the_note_counts():
    assert long_note(0, 9, "split") is None
    assert long_note(1, 9, "truncate") == "1 text is longer than 9 tokens: cut off there"
    assert long_note(2, 9, "split") == ("2 texts are longer than 9 tokens: translated in pieces")
