import numpy as np
import pytest

from lowkey.metrics import classification, regression, sequences, translation
from lowkey.metrics.measure import additive, placed, share

CLASSES = (list("abcabcaab"), list("abcabbccb"))
NUMBERS = (
    [1.0, 2.0, 2.5, 4.0, 3.0, 3.0, 0.5, 2.0, 7.0],
    [1.0, 2.5, 2.0, 5.0, 3.0, 1.0, 1.0, 2.0, 6.0],
)
TEXTS = (
    ["the cat sat on the mat", "a dog ran to the park", "it rains"] * 3,
    [
        ["the cat sat on a mat"],
        ["the dog ran to a park", "a dog ran off"],
        ["it rains", "it is raining"],
    ]
    * 3,
)
TOKENS = ([text.split() for text in TEXTS[0]], [[r.split() for r in refs] for refs in TEXTS[1]])
FAMILIES = [
    *((f, CLASSES) for f in (classification.accuracy_of, classification.f1_macro_of)),
    *((f, NUMBERS) for f in (regression.mse_of, regression.pearson_of, regression.spearman_of)),
    *((f, TEXTS) for f in (translation.bleu_of, translation.chrf_of, translation.ter_of)),
    (sequences.exact_match_of, TOKENS),
    (sequences.word_error_rate_of, TOKENS),
    (sequences.token_error_rate_of, TOKENS),
]
every = pytest.mark.parametrize(
    ("measure_of", "rows"), FAMILIES, ids=[f.__name__ for f, _ in FAMILIES]
)


@every
def test_weights_are_repeated_rows(measure_of, rows):
    counts = np.array([2, 0, 1, 3, 1, 0, 1, 2, 2])
    chosen = [[column[i] for i in np.repeat(np.arange(9), counts)] for column in rows]
    expected = measure_of(*chosen).score().value
    value = measure_of(*rows).value(counts[None].astype(float))
    assert value[0] == pytest.approx(expected, rel=1e-9)


@every
def test_each_of_several_systems_scores_as_if_it_were_alone(measure_of, rows):
    predictions, references = rows
    other = predictions[1:] + predictions[:1]
    pooled = measure_of(predictions + other, references * 2)
    for index, alone in enumerate((predictions, other)):
        ours, theirs = pooled.part(index, 2), measure_of(alone, references).score()
        assert (ours.n, ours.signature) == (9, theirs.signature)
        numbers = (ours.value, ours.low, ours.high)
        assert numbers == pytest.approx((theirs.value, theirs.low, theirs.high), rel=1e-9)
    assert pooled.part(0, 2).value != pytest.approx(pooled.part(1, 2).value)


@every
def test_a_row_scores_what_it_scores_alone(measure_of, rows):
    measure = measure_of(*rows)
    if measure.rows is None:
        assert measure.name in ("bleu", "f1_macro", "pearson", "spearman")
        return
    alone = [measure_of([p], [r]).score().value for p, r in zip(*rows, strict=True)]
    assert measure.rows.tolist() == pytest.approx(alone)


def test_weights_are_placed_on_one_system():
    weights = np.array([[1.0, 2.0]])
    assert placed(weights, 1, 3).tolist() == [[0, 0, 1, 2, 0, 0]]
    assert placed(weights, 0, 1).tolist() == [[1, 2]]


def test_a_ratio_of_sums_is_no_mean_of_ratios():
    ratio = additive("ratio", np.array([[1.0, 1.0], [1.0, 9.0]]), lambda s: s[:, 0] / s[:, 1])
    assert ratio.score().value == 0.2
    assert ratio.rows is not None
    assert ratio.rows.mean() == pytest.approx((1 + 1 / 9) / 2)


def test_a_share_has_the_interval_of_wilson():
    score = share("share", np.array([True] * 9 + [False])).score()
    assert (round(score.value, 2), round(score.low, 2), round(score.high, 2)) == (0.9, 0.6, 0.98)
