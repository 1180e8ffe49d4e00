import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from lowkey.metrics.tagging import tag_accuracy_of, tag_f1_macro_of, tag_measures

TAGS = ["NOUN", "VERB", "ADJ", "X"]
GUESSES = [*TAGS, None]
PAIR = st.integers(1, 6).flatmap(
    lambda n: st.tuples(
        st.lists(st.sampled_from(GUESSES), min_size=n, max_size=n),
        st.lists(st.sampled_from(TAGS), min_size=n, max_size=n),
    )
)


@given(st.lists(PAIR, min_size=1, max_size=5))
def test_scores_are_those_of_scikit_learn_over_all_words(pairs):
    predictions, references = zip(*pairs, strict=True)
    guesses = [tag or "none" for row in predictions for tag in row]
    truth = [tag for row in references for tag in row]
    ours = {
        name: measure.score().value
        for name, measure in tag_measures(*zip(*pairs, strict=True)).items()
    }
    assert ours["accuracy"] == pytest.approx(accuracy_score(truth, guesses), abs=1e-12)
    # What was not predicted is no class, but a miss of the true one.
    shown = sorted({*truth, *guesses} - {"none"})
    expected = f1_score(truth, guesses, labels=shown, average="macro", zero_division=0)
    assert ours["f1_macro"] == pytest.approx(expected, abs=1e-12)


def test_the_metrics_follow_from_the_tags():
    entity, plain = [["B-X", "O"]], [["NOUN", "O"]]
    spans = {"entity_f1", "entity_precision", "entity_recall", "partial_f1", "accuracy"}
    assert tag_measures(entity, entity).keys() == spans
    assert tag_measures(plain, plain).keys() == {"accuracy", "f1_macro"}
    # All tags of a model decide, not those of a few rows.
    assert tag_measures([["O"]], [["O"]], ["O", "B-X"]).keys() == spans


def test_intervals_come_from_sentences():
    """A long sentence and a short one: what is drawn is a sentence, never a word."""
    references = [["A"] * 9, ["A"]]
    predictions = [["A"] * 9, ["B"]]
    measure = tag_accuracy_of(predictions, references)
    assert measure.n == 2
    weights = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]])
    assert measure.value(weights).tolist() == pytest.approx([0.9, 1.0, 0.0])
    assert tag_f1_macro_of(predictions, references).value(weights)[1] == 1


def test_a_prediction_for_every_word_is_needed():
    for of in (tag_accuracy_of, tag_f1_macro_of, tag_measures):
        with pytest.raises(ValueError, match="row 1 has 1 predictions for 2 tags"):
            of([["A"], ["A"]], [["A"], ["A", "B"]])
