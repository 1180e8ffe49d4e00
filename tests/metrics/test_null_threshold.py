"""The threshold for no answer, against trying all of them."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lowkey.metrics.null_threshold import best_threshold

ROW = st.tuples(st.integers(-3, 3), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 1.0]))


def total(threshold, rows):
    return sum(without if margin > threshold else answer for margin, answer, without in rows)


@settings(max_examples=200, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=8))
def test_no_other_threshold_is_better(rows):
    margins, answered, unanswered = (
        np.array(column, dtype=float) for column in zip(*rows, strict=True)
    )
    found = best_threshold(margins, answered, unanswered)
    assert np.isfinite(found)
    assert total(found, rows) == max(total(t / 4, rows) for t in range(-20, 21))
    # It stands between two margins, where a little more or less changes nothing.
    assert total(found, rows) == total(found - 0.1, rows) == total(found + 0.1, rows)


def test_the_scores_decide():
    margins = np.array([-1.0, 1.0])
    yes, no = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert best_threshold(margins, yes, no) == 0.0
    assert best_threshold(margins, no, yes) in (-2.0, 2.0)
    assert best_threshold(margins, yes + no, 0 * yes) > 1
    assert best_threshold(margins, 0 * yes, yes + no) < -1
