"""The best spans, against trying every one."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lowkey.decoding.spans import best_spans


def brute(scores, allowed, start, length, max_tokens):
    found = (-math.inf, start, start)
    for i in range(start, start + length):
        for j in range(i, min(i + max_tokens, start + length)):
            if allowed[i : j + 1].all() and scores[i, 0] + scores[j, 1] > found[0]:
                found = (scores[i, 0] + scores[j, 1], i, j)
    return found


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(1, 12), st.integers(0, 999))
def test_no_span_of_a_window_is_better(lengths, max_tokens, seed):
    random = np.random.default_rng(seed)
    # Whole numbers, so that there are draws.
    scores = random.integers(-3, 4, size=(sum(lengths), 2)).astype(np.float32)
    allowed, start = np.ones(sum(lengths), dtype=bool), 0
    for length in lengths:  # a question in front, an end token behind, sometimes nothing between
        allowed[start : start + random.integers(0, length + 1)] = False
        start += length
    spans = best_spans(scores, allowed, np.array(lengths), max_tokens)
    start = 0
    for i, length in enumerate(lengths):
        expected = brute(scores, allowed, start, length, max_tokens)
        assert (spans.scores[i], spans.first[i], spans.last[i]) == expected
        start += length


def test_spans_end_with_their_window():
    # The best end for the first window would be in the second one.
    scores = np.array([[5.0, 0], [0, 1], [0, 9], [0, 9]])
    spans = best_spans(scores, np.ones(4, dtype=bool), np.array([2, 2]), 4)
    assert (spans.first.tolist(), spans.last.tolist()) == ([0, 2], [1, 2])
