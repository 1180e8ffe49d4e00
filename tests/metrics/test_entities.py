import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from lowkey.metrics.entities import Entity, entities, entity_measures, marks_entities

KINDS = ["PER", "LOC-CITY", "O"]
BIOES = ["O", *(f"{mark}-{kind}" for mark in "BIES" for kind in KINDS)]
BIO = [tag for tag in BIOES if tag[:2] in ("O", "B-", "I-")]
TO_BILOU = {"E": "L", "S": "U"}


def sets(tags):
    """Sentences, each with two taggings of any form, well-formed or not."""
    pair = st.integers(1, 8).flatmap(
        lambda n: st.tuples(*[st.lists(st.sampled_from(tags), min_size=n, max_size=n)] * 2)
    )
    return st.lists(pair, min_size=1, max_size=4)


def seqeval(predictions, references):
    from seqeval.metrics import f1_score, precision_score, recall_score

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of divisions by zero, which it takes for 0
        arguments = {"y_true": references, "y_pred": predictions}
        return [f(**arguments) for f in (f1_score, precision_score, recall_score)]


def values(predictions, references):
    return {n: m.score().value for n, m in entity_measures(predictions, references).items()}


@pytest.mark.parametrize("tags", [BIO, BIOES], ids=["BIO", "BIOES"])
def test_strict_scores_are_those_of_seqeval(tags):
    @given(sets(tags))
    def check(pairs):
        predictions, references = (
            [list(side) for side in column] for column in zip(*pairs, strict=True)
        )
        ours = values(predictions, references)
        expected = seqeval(predictions, references)
        found = [ours[f"entity_{name}"] for name in ("f1", "precision", "recall")]
        if not any(entities(row) for row in (*predictions, *references)):
            assert np.isnan(found).all()
            assert expected == [0, 0, 0]
        else:
            assert found == pytest.approx(expected, abs=1e-12)

    check()


@given(st.lists(st.sampled_from(BIOES), max_size=12))
def test_entities_are_those_of_seqeval(tags):
    from seqeval.metrics.sequence_labeling import get_entities

    expected = [(kind, start, end + 1) for kind, start, end in get_entities(tags)]
    assert entities(tags) == expected
    renamed = [TO_BILOU.get(tag[0], tag[0]) + tag[1:] for tag in tags]
    assert entities(renamed) == entities(tags)


def overlap(a, b):
    return a.type == b.type and a.start < b.end and b.start < a.end


@given(sets(BIO))
def test_half_the_credit_goes_to_the_best_pairs_there_are(pairs):
    """The oracle: of all ways to pair predicted and true entities, the one worth most."""
    credit = total = 0
    for guess, truth in pairs:
        found, true = entities(guess), entities(truth)
        worth = np.array([[(overlap(a, b) + (a == b)) / 2 for b in true] for a in found])
        if worth.size:
            credit += worth[linear_sum_assignment(worth, maximize=True)].sum()
        total += len(found) + len(true)
    ours = values(*zip(*pairs, strict=True))
    if total:
        assert ours["partial_f1"] == pytest.approx(2 * credit / total, abs=1e-12)
        assert ours["entity_f1"] <= ours["partial_f1"] + 1e-12
    else:
        assert np.isnan(ours["partial_f1"])


def test_scores_by_hand():
    truth = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-LOC", "I-LOC", "O"]]
    guess = [["B-PER", "I-PER", "O", "B-PER"], ["O", "O", "B-LOC", "O"]]
    assert values(guess, truth) == {
        "entity_f1": pytest.approx(1 / 3),
        "entity_precision": pytest.approx(1 / 3),
        "entity_recall": pytest.approx(1 / 3),
        "partial_f1": pytest.approx(2 * (1 + 0.5) / 6),
    }
    # Two pieces of one true entity share the credit of one.
    assert values([["B-X", "B-X"]], [["B-X", "I-X"]])["partial_f1"] == pytest.approx(1 / 3)


def test_what_was_not_predicted_is_outside():
    assert entities(["B-PER", None, "I-PER"]) == [Entity("PER", 0, 1), Entity("PER", 2, 3)]
    assert entities(["B", "I", "O", "I"]) == [Entity("", 0, 2), Entity("", 3, 4)]


def test_the_score_of_one_of_two_systems_is_its_own():
    truth = [["B-PER", "O"], ["B-LOC", "I-LOC"]]
    bad = [["O", "B-PER"], ["B-LOC", "O"]]
    both = entity_measures([*bad, *truth], [*truth, *truth])
    alone = entity_measures(bad, truth)
    for name, measure in both.items():
        assert measure.part(0, 2) == alone[name].score()
        assert measure.part(1, 2).value == 1
    assert both["entity_f1"].rows.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (BIO, True),
        (BIOES, True),
        (["O", "B", "I"], True),
        (["O", "I-PER"], True),
        (["O", "B-PER", "U-PER", "L-PER"], True),
        (["O"], False),
        (["NOUN", "VERB", "O"], False),
        (["B-PER", "I-PER"], False),
        (["O", "B-PER", "X"], False),
        ([], False),
    ],
)
def test_tags_of_entities_are_told_from_others(names, expected):
    assert marks_entities(names) is expected


def test_every_sentence_needs_its_prediction():
    with pytest.raises(ValueError, match="1 predictions for 2 references"):
        entity_measures([["O"]], [["O"], ["O"]])


def test_a_wrong_rule_would_be_seen():
    """The negative control: among all short sequences some differ from reading B- alone."""
    from seqeval.metrics.sequence_labeling import get_entities

    def naive(tags):
        return [(tag[2:], i, i) for i, tag in enumerate(tags) if tag[0] == "B"]

    short = list(itertools.product(BIO, repeat=3))
    assert any(naive(list(tags)) != get_entities(list(tags)) for tags in short)
