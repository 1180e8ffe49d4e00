"""Scores of answers against the definition, written another way, and against scores by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowkey.metrics.squad import best_f1, is_exact, normalised, squad_measures

WORDS = [
    "the",
    "The Nile",
    "a",
    "nile",
    "NILE,",
    "river",
    "an",
    "1889",
    "Ünited",
    "(the)",
    "…",
    "!",
]
TEXT = st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join)
REFERENCES = st.lists(TEXT, max_size=3)


def plain(text):
    """What counts of an answer, letter by letter and word by word."""
    letters = [c for c in text.lower() if not (c.isascii() and not c.isalnum() and not c.isspace())]
    return [word for word in "".join(letters).split() if word not in ("a", "an", "the")]


def overlap(guess, right):
    """F1 with the words in common struck off one by one."""
    if not guess and not right:
        return 1.0
    rest, hits = list(right), 0
    for word in guess:
        if word in rest:
            rest.remove(word)
            hits += 1
    if not hits:
        return 0.0
    precision, recall = hits / len(guess), hits / len(right)
    return 2 * precision * recall / (precision + recall)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(TEXT, REFERENCES), min_size=1, max_size=6))
def test_scores_are_those_of_the_definition(pairs):
    exact, f1 = [], []
    for guess, right in pairs:
        references = [plain(text) for text in right if plain(text)] or [[]]
        exact.append(plain(guess) in references)
        f1.append(max(overlap(plain(guess), one) for one in references))
    guesses, references = [one for one, _ in pairs], [right for _, right in pairs]
    assert [is_exact(*pair) for pair in pairs] == exact
    assert [best_f1(*pair) for pair in pairs] == pytest.approx(f1)
    assert [normalised(guess).split() for guess in guesses] == [plain(x) for x in guesses]
    measures = squad_measures(guesses, references)
    assert measures["f1"].score().value == pytest.approx(np.mean(f1))
    assert measures["exact_match"].score().value == pytest.approx(np.mean(exact))


def test_scores_by_hand():
    guesses = ["the Nile", "a long river", None, "Rome"]
    references = [["Nile", "x"], ["river Nile"], [], []]
    measures = squad_measures(guesses, references)
    scores = {name: measure.score() for name, measure in measures.items()}
    assert scores["exact_match"].value == 0.5
    # "long river" and "river Nile" share one of two words each.
    assert scores["f1"].value == pytest.approx((1 + 0.5 + 1 + 0) / 4)
    assert scores["answerable_f1"].value == pytest.approx(0.75)
    assert scores["unanswerable_accuracy"].value == pytest.approx(0.5)
    assert all(score.low <= score.value <= score.high for score in scores.values())


def test_without_unanswerable_questions_there_are_no_scores_of_them():
    assert squad_measures(["a b"], [["b"]]).keys() == {"exact_match", "f1"}
    assert squad_measures([None], [[]]).keys() == {"exact_match", "f1"}


def test_a_draw_without_a_question_of_the_kind_has_no_score():
    measure = squad_measures(["b", None], [["b"], []])["answerable_f1"]
    assert measure.value(np.array([[1.0, 1.0], [0.0, 2.0]])).tolist()[0] == 1.0
    assert math.isnan(measure.value(np.array([[0.0, 2.0]]))[0])


def test_other_lengths_are_refused():
    with pytest.raises(ValueError, match="1 predictions for 2 references"):
        squad_measures(["a"], [["a"], ["b"]])
