from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowkey.metrics.sequences import exact_match, token_error_rate, word_error_rate

METRICS = [exact_match, word_error_rate, token_error_rate]
tokens = st.lists(st.sampled_from(["AA", "B", "K"]), max_size=6)
rows = st.lists(st.tuples(tokens, st.lists(tokens, min_size=1, max_size=3)), min_size=1, max_size=5)


def edits(a, b):
    """Levenshtein's distance by its recursive definition."""

    @cache
    def between(i, j):
        if not i or not j:
            return i + j
        replaced = between(i - 1, j - 1) + (a[i - 1] != b[j - 1])
        return min(replaced, between(i - 1, j) + 1, between(i, j - 1) + 1)

    return between(len(a), len(b))


@settings(max_examples=50, deadline=None)
@given(rows)
def test_rates_equal_their_definitions(rows):
    predictions, references = [list(column) for column in zip(*rows, strict=True)]
    wrong = sum(guess not in allowed for guess, allowed in rows)
    assert word_error_rate(predictions, references).value == wrong / len(rows)
    assert exact_match(predictions, references).value == (len(rows) - wrong) / len(rows)
    closest = [min((edits(g, one), -len(one)) for one in allowed) for g, allowed in rows]
    total = -sum(length for _, length in closest)
    if total:
        rate = sum(distance for distance, _ in closest) / total
        assert token_error_rate(predictions, references).value == pytest.approx(rate)
    else:
        with pytest.raises(ValueError, match="no token in any reference"):
            token_error_rate(predictions, references)


def test_any_allowed_reference_will_do():
    allowed = [[["R", "EH", "D"], ["R", "IY", "D"]]]
    for guess in allowed[0]:
        assert word_error_rate([guess], allowed).value == 0
        assert token_error_rate([guess], allowed).value == 0
    assert word_error_rate([["R", "EH"]], allowed).value == 1
    assert token_error_rate([["R", "EH"]], allowed).value == pytest.approx(1 / 3)


def test_lists_tuples_and_text_compare():
    assert exact_match([("a", "b")], [[["a", "b"]]]).value == 1
    assert exact_match(["ab", "ab"], [["ab"], ["ba", "b"]]).value == 0.5


def test_intervals():
    right, wrong = (["K"], [["K"]]), (["K", "AA"], [["B"]])
    predictions, references = zip(*[right] * 50, *[wrong] * 50, strict=True)
    for metric, value in zip(METRICS, (0.5, 0.5, 1.0), strict=True):
        score = metric(predictions, references)
        assert (score.value, score.n) == (value, 100)
        assert 0.7 * value < score.low < value < score.high < 1.3 * value


@pytest.mark.parametrize("metric", METRICS)
def test_rows_and_references_must_be_there(metric):
    with pytest.raises(ValueError, match=f"{metric.__name__}: no rows"):
        metric([], [])
    with pytest.raises(ValueError, match=f"{metric.__name__}: 1 predictions for 2 references"):
        metric([["K"]], [[["K"]], [["K"]]])
    with pytest.raises(ValueError, match="row 1 has no reference"):
        metric([["K"], ["K"]], [[["K"]], []])
    with pytest.raises(TypeError, match="row 0 are a string"):
        metric(["K"], ["K"])
