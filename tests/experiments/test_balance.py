import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from lowkey.data.flat import FlatSequences
from lowkey.data.label_sets import LabelSets
from lowkey.experiments.balance import (
    balanced_weights,
    counts_of,
    is_skewed,
    label_weights,
    note_on_skew,
)
from lowkey.experiments.encoder_config import EncoderTraining

CLASSES = np.array([0] * 60 + [1] * 5 + [2] * 13)
SETS = LabelSets(FlatSequences.of([[0], [0, 1], [], [0], [0, 2], [2]]), 3)


def test_weights_are_those_of_scikit_learn():
    expected = compute_class_weight("balanced", classes=np.arange(3), y=CLASSES)
    found = balanced_weights(counts_of(CLASSES, 3))
    assert found == pytest.approx(expected, abs=1e-6)
    assert found[CLASSES].mean() == pytest.approx(1)


def test_each_label_of_a_set_is_weighed_by_itself():
    found = label_weights(SETS)
    for label in range(3):
        held = SETS.table[:, label]
        expected = compute_class_weight("balanced", classes=np.array([False, True]), y=held)
        assert found[:, label] == pytest.approx(expected, abs=1e-6)


def test_counts_are_of_rows():
    assert counts_of(SETS, 3).tolist() == [4, 1, 2]
    assert counts_of(np.array([0.5, 1.0], dtype=np.float32), 1) is None
    assert counts_of(np.array([1, 1]), 3).tolist() == [0, 2, 0]  # one may be held out as a whole
    assert np.isfinite(balanced_weights(np.array([0, 2]))).all()


@pytest.mark.parametrize(
    ("counts", "skewed"),
    [([25, 75], False), ([24, 76], True), ([10] * 9 + [4], True), ([10] * 9 + [6], False)],
)
def test_a_class_below_half_its_share_is_rare(counts, skewed):
    assert is_skewed(np.array(counts)) is skewed


def test_what_is_said_of_skewed_classes():
    def note(**train):
        return note_on_skew(["a", "b"], np.array([9, 1]), 10, EncoderTraining(**train), "f1_macro")

    assert note() == (
        'note: the labels are skewed ("b" 10.0%, "a" 90.0% of the rows); the best step is chosen'
        " by f1_macro, in which all count alike; train.class_weight: balanced lets rare ones weigh"
        " as much"
    )
    assert note(class_weight="balanced").endswith("chosen by f1_macro, in which all count alike")
    assert "chosen by accuracy, as asked for;" in note(metric_for_best_model="accuracy")
