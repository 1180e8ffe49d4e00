from itertools import product

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from sacrebleu.significance import PairedTest
from scipy.stats import binomtest

from lowkey.metrics import intervals, paired
from lowkey.metrics.classification import accuracy_of, f1_macro_of
from lowkey.metrics.measure import additive
from lowkey.metrics.paired import paired_difference
from lowkey.metrics.regression import pearson_of
from lowkey.metrics.sequences import token_error_rate_of
from lowkey.metrics.translation import bleu_of, chrf_of, ter_of

WORDS = ["the", "a", "cat", "dog", "sat", "ran", "on", "under", "mat", "park", ",", "every"]
THEIRS = {bleu_of: BLEU(force=True), chrf_of: CHRF(), ter_of: TER()}


def corpus(n, seed, wrong=(0.2, 0.26)):
    """References, and for each system the same with some words replaced."""
    draw = np.random.default_rng(seed)
    references = [draw.choice(WORDS, size=draw.integers(4, 9)).tolist() for _ in range(n)]
    systems = [
        [" ".join(w if draw.random() > rate else draw.choice(WORDS) for w in r) for r in references]
        for rate in wrong
    ]
    return systems, [[" ".join(words)] for words in references]


def pooled(measure_of, systems, references):
    return measure_of([x for system in systems for x in system], references * len(systems))


@pytest.mark.parametrize("measure_of", THEIRS, ids=lambda f: f.__name__)
def test_agrees_with_the_paired_tests_of_sacrebleu(measure_of):
    (a, b), references = corpus(150, seed=1)
    streams = [[r[0] for r in references]]
    ours = paired_difference(pooled(measure_of, (b, a), references), 0, 1)
    name = measure_of.__name__
    for kind, num, found in (("ar", 4000, ours.p_randomization), ("bs", 1000, ours.p_bootstrap)):
        test = PairedTest([("a", a), ("b", b)], {name: THEIRS[measure_of]}, streams, kind, num)
        [(_, (baseline, system))] = [item for item in test()[1].items() if item[0] != "System"]
        assert ours.value == pytest.approx(system.score - baseline.score, abs=1e-6)
        # Its bootstrap counts one side only, so that its p is about half of ours.
        two_sided = system.p_value if kind == "ar" else 2 * system.p_value
        assert found == pytest.approx(two_sided, abs=0.04)


@pytest.mark.parametrize("measure_of", [bleu_of, chrf_of, token_error_rate_of])
def test_few_rows_are_exchanged_in_every_way(measure_of):
    (a, b), references = corpus(6, seed=2, wrong=(0.1, 0.5))
    found = paired_difference(pooled(measure_of, (a, b), references), 0, 1)

    def difference(keep):
        first = [x if k else y for k, x, y in zip(keep, a, b, strict=True)]
        second = [y if k else x for k, x, y in zip(keep, a, b, strict=True)]
        scores = [measure_of(texts, references).score().value for texts in (first, second)]
        return scores[0] - scores[1]

    every = np.abs([difference(keep) for keep in product((True, False), repeat=6)])
    assert found.value == pytest.approx(difference([True] * 6))
    assert found.p_randomization == (every >= abs(found.value) - 1e-9).mean()


def test_the_interval_is_that_of_rows_drawn_for_both(monkeypatch):
    monkeypatch.setattr(intervals, "NUM_RESAMPLES", 100)
    (a, b), references = corpus(30, seed=3)
    found = paired_difference(pooled(bleu_of, (a, b), references), 0, 1)
    values = []
    for counts in next(intervals.resamples(30, seed=0)):
        rows = np.repeat(np.arange(30), counts.astype(int))
        streams = [[references[i][0] for i in rows]]
        scores = [BLEU(force=True).corpus_score([s[i] for i in rows], streams) for s in (a, b)]
        values.append(scores[0].score - scores[1].score)
    assert (found.low, found.high) == pytest.approx(np.percentile(values, [2.5, 97.5]))


def test_randomization_of_right_and_wrong_is_mcnemars_test():
    truth = ["x"] * 40
    a = ["x"] * 30 + ["y"] * 10
    b = ["x"] * 24 + ["y"] * 6 + ["x"] * 1 + ["y"] * 9
    found = paired_difference(pooled(accuracy_of, (a, b), truth), 0, 1)
    assert found.mcnemar is not None
    assert (found.mcnemar.only_a, found.mcnemar.only_b) == (6, 1)
    assert found.mcnemar.p_value == pytest.approx(binomtest(6, 7).pvalue)
    assert found.p_randomization == pytest.approx(binomtest(6, 7).pvalue, abs=0.015)
    assert paired_difference(pooled(f1_macro_of, (a, b), truth), 0, 1).mcnemar is None


@pytest.mark.parametrize("measure_of", [bleu_of, chrf_of, ter_of, token_error_rate_of, f1_macro_of])
@pytest.mark.parametrize("n", [5, 40])
def test_a_system_does_not_differ_from_itself(measure_of, n):
    (a, _), references = corpus(n, seed=4)
    truth = [r[0] for r in references] if measure_of is f1_macro_of else references
    found = paired_difference(pooled(measure_of, (a, a), truth), 0, 1)
    assert (found.value, found.low, found.high) == pytest.approx((0, 0, 0), abs=1e-9)
    assert (found.p_bootstrap, found.p_randomization, found.n) == (1, 1, n)


def test_swapping_the_systems_swaps_the_sign_and_other_systems_do_not_matter():
    (a, b), references = corpus(40, seed=5)
    measure = pooled(chrf_of, (a, b), references)
    one, other = paired_difference(measure, 0, 1), paired_difference(measure, 1, 0)
    assert (one.value, one.low, one.p_bootstrap) == pytest.approx(
        (-other.value, -other.high, other.p_bootstrap)
    )
    assert one.p_randomization == pytest.approx(other.p_randomization)
    among = pooled(chrf_of, (b, ["the"] * 40, a), references)
    assert paired_difference(among, 2, 0, 3) == one


def test_the_order_of_the_rows_is_irrelevant():
    (a, b), references = corpus(8, seed=6)
    one = paired_difference(pooled(chrf_of, (a, b), references), 0, 1)
    turned = paired_difference(pooled(chrf_of, (a[::-1], b[::-1]), references[::-1]), 0, 1)
    assert (turned.value, turned.p_randomization) == pytest.approx((one.value, one.p_randomization))


def test_pairing_matters():
    draw = np.random.default_rng(0)
    hard = draw.integers(0, 30, size=60)
    edits = np.concatenate([hard, hard + draw.integers(0, 3, size=60)]).astype(float)
    shuffled = np.concatenate([hard, np.roll(edits[60:], 7)]).astype(float)

    def compared(counts):
        measure = additive(
            "rate", np.stack([counts, np.full(120, 30.0)], 1), lambda s: s[:, 0] / s[:, 1]
        )
        return paired_difference(measure, 0, 1)

    assert compared(edits).p_randomization < 0.001 < 0.3 < compared(shuffled).p_randomization
    assert compared(edits).p_bootstrap < 0.01 < 0.3 < compared(shuffled).p_bootstrap


@pytest.mark.parametrize(
    ("num_tests", "most"), [(250, 0.09), pytest.param(3000, 0.06, marks=pytest.mark.slow)]
)
def test_chance_alone_is_rarely_called_a_difference(num_tests, most, monkeypatch):
    monkeypatch.setattr(intervals, "NUM_RESAMPLES", 199)
    monkeypatch.setattr(paired, "NUM_EXCHANGES", 199)
    draw = np.random.default_rng(100)
    p_values = []
    for _ in range(num_tests):
        lengths = np.tile(draw.integers(3, 12, size=100), 2)
        hardness = np.tile(draw.uniform(0, 0.6, size=100), 2)
        counts = np.stack([draw.binomial(lengths, hardness), lengths], axis=1).astype(float)
        found = paired_difference(additive("rate", counts, lambda s: s[:, 0] / s[:, 1]), 0, 1)
        p_values.append((found.p_bootstrap, found.p_randomization))
    false_alarms = (np.array(p_values) <= 0.05).mean(axis=0)
    assert (false_alarms <= most).all()
    assert (false_alarms >= 0.02).all()


def test_an_undefined_metric_has_no_difference():
    found = paired_difference(pearson_of([1.0, 1.0, 1.0, 1.0, 2.0, 3.0], [1.0, 2.0, 3.0] * 2), 0, 1)
    assert np.isnan([found.value, found.low, found.p_bootstrap, found.p_randomization]).all()
