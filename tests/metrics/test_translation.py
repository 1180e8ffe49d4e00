import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu import corpus_bleu, corpus_chrf

from lowkey.metrics import intervals
from lowkey.metrics.translation import bleu, chrf

THEIRS = {bleu: corpus_bleu, chrf: corpus_chrf}
both = pytest.mark.parametrize("ours", THEIRS, ids=lambda f: f.__name__)
words = st.sampled_from(["the", "a", "cat", "dog", "sat", "ran", ",", "."])
sentences = st.lists(words, max_size=9).map(" ".join)
CORPUS = [
    ("the Cat sat on the mat .", ["the cat sat on a mat.", "a cat was on the mat."]),
    ("he reads the newspaper every day", ["he reads a newspaper every single day"]),
    ("rain is expected in the north", ["they expect rain in the north", "rain in the north"]),
    ("nothing of this is right", ["all is wrong here"]),
] * 5


def streams(references):
    longest = max(len(allowed) for allowed in references)
    return [[r[i] if i < len(r) else None for r in references] for i in range(longest)]


@both
@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(sentences, st.lists(sentences, min_size=2, max_size=2)), min_size=1))
def test_equals_sacrebleu_on_random_corpora(ours, corpus):
    predictions, references = [list(column) for column in zip(*corpus, strict=True)]
    expected = THEIRS[ours](predictions, streams(references)).score
    assert ours(predictions, references).value == pytest.approx(expected, abs=1e-9)


@both
def test_interval_is_that_of_resampled_sentences(ours, monkeypatch):
    monkeypatch.setattr(intervals, "NUM_RESAMPLES", 200)
    predictions, references = [list(column) for column in zip(*CORPUS, strict=True)]
    score = ours(predictions, references)
    assert score.value == THEIRS[ours](predictions, streams(references)).score
    values = []
    for counts in next(intervals.resamples(20, seed=0)):
        rows = np.repeat(np.arange(20), counts.astype(int))
        chosen = streams([references[row] for row in rows])
        values.append(THEIRS[ours]([predictions[row] for row in rows], chosen).score)
    assert (score.low, score.high) == pytest.approx(np.percentile(values, [2.5, 97.5]))


@both
def test_order_is_irrelevant_and_pairing_is_not(ours):
    predictions, references = [list(column) for column in zip(*CORPUS, strict=True)]
    score = ours(predictions, references).value
    assert ours(predictions[::-1], references[::-1]).value == pytest.approx(score)
    assert ours(predictions[1:] + predictions[:1], references).value < score / 2


@both
def test_identical_text_scores_100_and_is_signed(ours):
    texts = [allowed[0] for _, allowed in CORPUS]
    score = ours(texts, [[text] for text in texts])
    assert (score.value, score.low) == pytest.approx((100, 100))
    assert "version:" in score.signature


@both
def test_rows_and_references_must_be_there(ours):
    with pytest.raises(ValueError, match=f"{ours.__name__}: no rows"):
        ours([], [])
    with pytest.raises(ValueError, match="row 0 has no reference"):
        ours(["a"], [[]])
    with pytest.raises(TypeError, match="row 0 are a string"):
        ours(["a"], ["a"])
