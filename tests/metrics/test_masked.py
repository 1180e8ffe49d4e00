import numpy as np
import pytest

from lowkey.metrics.masked import masked_measures

COUNTS = np.array([[3.0, 1, 2], [0.5, 4, 4], [9.0, 0, 3], [2.0, 2, 3]])


def test_the_values_are_those_over_all_tokens_together():
    scores = {name: measure.score() for name, measure in masked_measures(COUNTS).items()}
    assert scores["nll"].value == pytest.approx(14.5 / 12)
    assert scores["perplexity"].value == pytest.approx(np.exp(14.5 / 12))
    assert scores["accuracy"].value == pytest.approx(7 / 12)
    for score in scores.values():
        assert score.low < score.value < score.high
        assert score.n == 4
    # The exponential keeps the order, so the interval of the one is that of the other.
    assert scores["perplexity"].low == pytest.approx(np.exp(scores["nll"].low))


def test_a_text_without_a_token_to_guess_counts_for_nothing():
    silent = masked_measures(np.array([*COUNTS.tolist(), [0, 0, 0]]))["nll"]
    assert silent.score().value == masked_measures(COUNTS)["nll"].score().value
    assert silent.rows is not None
    assert np.isnan(silent.rows[-1])


def test_whole_texts_are_drawn_not_tokens():
    # Many tokens in two texts leave as much doubt as few tokens in two texts.
    few = masked_measures(np.array([[1.0, 1, 2], [4.0, 0, 2]]))["nll"].score()
    many = masked_measures(np.array([[1.0, 1, 2], [4.0, 0, 2]]) * 1000)["nll"].score()
    assert (few.low, few.high) == pytest.approx((many.low, many.high))
    same = masked_measures(np.array([[1.0, 1, 2]] * 9))["nll"].score()
    assert same.low == same.high
