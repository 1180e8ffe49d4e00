import math
from collections import Counter

import pytest
import torch
from decoding.toy import ToyTable
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from transformers import TopKLogitsWarper, TopPLogitsWarper

from lowkey.decoding.greedy import greedy
from lowkey.decoding.rules import MinLength, NoRepeatNgrams, RepetitionPenalty
from lowkey.decoding.sampling import draw, keep_top_k, keep_top_p, sample

NAMES = [f"sentence {i}" for i in range(8)]
IDS = {"begin_id": 0, "end_id": 1}


def draws(table, *, seed=3, max_length=6, **options):
    return sample(table, **IDS, seed=seed, max_length=max_length, **options)


class Steady(ToyTable):
    """The same logits after every prefix."""

    LOGITS = (0.5, -0.3, 1.2, -1.0, 0.0, 2.0, -2.5)

    def logits(self, name, prefix):
        return list(self.LOGITS)


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, 7),
        ({"temperature": 0.6}, 7),
        ({"temperature": 1.7}, 7),
        ({"top_k": 3}, 3),
        ({"top_p": 0.7}, 2),
        ({"temperature": 2.0, "top_k": 4, "top_p": 0.8}, 3),
    ],
)
def test_tokens_come_as_often_as_they_should(options, kept):
    found = draws(Steady([f"{i}" for i in range(4000)], 7), max_length=1, **options)
    counts = Counter(1 if one.finished else one.token_ids[0] for (one,) in found)
    scaled = [x / options.get("temperature", 1.0) for x in Steady.LOGITS]
    likeliest = sorted(range(7), key=lambda i: -scaled[i])[:kept]
    total = sum(math.exp(scaled[i]) for i in likeliest)
    assert set(counts) <= set(likeliest)
    expected = [4000 * math.exp(scaled[i]) / total for i in likeliest]
    assert chisquare([counts[i] for i in likeliest], expected).pvalue > 0.01
    # The test does see another distribution: the one at another temperature.
    other = [math.exp(scaled[i] / 1.5) for i in likeliest]
    expected = [4000 * x / sum(other) for x in other]
    assert chisquare([counts[i] for i in likeliest], expected).pvalue < 1e-4


def test_steps_and_draws_are_independent():
    found = draws(Steady([f"{i}" for i in range(1500)], 7), max_length=2, num_return=2, top_k=2)
    # Both likeliest tokens are no end, so every draw has two of them.
    first = torch.tensor([[d.token_ids for d in one] for one in found]) == 5
    p = math.exp(2.0) / (math.exp(2.0) + math.exp(1.2))
    for a, b in [((0, 0), (0, 1)), ((0, 0), (1, 0)), ((0, 1), (1, 1)), ((0, 1), (1, 0))]:
        both = float((first[:, a[0], a[1]] & first[:, b[0], b[1]]).float().mean())
        assert both == pytest.approx(p * p, abs=0.04)


@settings(max_examples=30, deadline=None)
@given(
    chosen=st.lists(st.integers(0, 7), min_size=1, max_size=5, unique=True),
    temperature=st.sampled_from([0.5, 1.0, 1.5]),
    top_k=st.integers(0, 6),
    top_p=st.sampled_from([0.5, 0.9, 1.0]),
    num_return=st.integers(1, 3),
    size=st.integers(0, 3),
)
def test_batch_mates_do_not_matter(chosen, temperature, top_k, top_p, num_return, size):
    limits, least = torch.arange(3, 11), torch.arange(8) % 4
    starts = [[2] * (i % 3) for i in range(8)]

    def run(which, count):
        return draws(
            ToyTable([NAMES[i] for i in which], 6),
            max_length=limits[which],
            sentence_ids=which,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            num_return=count,
            prefixes=[starts[i] for i in which],
            rules=[
                RepetitionPenalty(1.2),
                *([NoRepeatNgrams(size)] if size else []),
                MinLength(least[which], 1),
            ],
        )

    together = run(chosen, num_return)
    for i, found in zip(chosen, together, strict=True):
        assert run([i], num_return) == [found]
        assert run([i], 1)[0] == found[:1]  # nor do the other draws


def test_seed_sentence_and_draw_make_a_difference():
    one = draws(ToyTable(["x"] * 2, 30), num_return=2)
    assert one == draws(ToyTable(["x"] * 2, 30), num_return=2)
    tokens = {tuple(d.token_ids) for found in one for d in found}
    assert len(tokens) == 4
    (other,) = draws(ToyTable(["x"], 30), seed=4)
    assert other != one[0][:1]


def test_cold_samples_are_greedy_and_scores_are_the_models_own():
    cold = draws(ToyTable(NAMES, 6), temperature=0.001)
    expected = greedy(ToyTable(NAMES, 6), **IDS, max_length=6)
    for (found,), best in zip(cold, expected, strict=True):
        assert (found.token_ids, found.finished) == (best.token_ids, best.finished)
        assert found.score == pytest.approx(best.score, abs=1e-5)


def test_sentences_that_are_done_leave():
    table = ToyTable(NAMES, 5)
    found = draws(table, max_length=12, num_return=3)
    lengths = [max(len(d.token_ids) + d.finished for d in one) for one in found]
    rows = [sum(3 for length in lengths if length > step) for step in range(max(lengths))]
    assert table.rows_stepped == [len(NAMES), *rows[1:]]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_sentence_without_probabilities_leaves_the_others_alone(bad):
    class Broken(ToyTable):
        def logits(self, name, prefix):
            values = super().logits(name, prefix)
            return [bad, *values[1:]] if name == "broken" else values

    results = draws(Broken([*NAMES, "broken"], 5), num_return=2)
    assert results[:-1] == draws(ToyTable(NAMES, 5), num_return=2)
    assert [(one.score, one.finished) for one in results[-1]] == [(-math.inf, False)] * 2


@pytest.mark.parametrize("k", [1, 3, 10])
def test_top_k_is_that_of_transformers(k):
    logits = torch.randn(20, 10, generator=torch.Generator().manual_seed(0)).round(decimals=1)
    expected = TopKLogitsWarper(k)(None, logits)
    assert torch.equal(keep_top_k(logits, k), expected)


@pytest.mark.parametrize("p", [0.01, 0.3, 0.7, 0.95, 1.0])
def test_top_p_is_that_of_transformers(p):
    logits = 2 * torch.randn(20, 10, generator=torch.Generator().manual_seed(0))
    expected = TopPLogitsWarper(p)(None, logits) if p < 1 else logits
    found = keep_top_p(logits, p)
    assert torch.equal(found, expected)
    kept = logits.softmax(1).masked_fill(found.isinf(), 0.0)
    assert bool((kept.sum(1) >= p - 1e-6).all())


def test_a_token_without_probability_is_never_drawn():
    logits = torch.tensor([[-math.inf, 0.0, -math.inf, 0.0, -math.inf]]).repeat(3, 1)
    uniform = torch.tensor([0.0, 0.5, 1 - 2**-40], dtype=torch.float64)
    assert draw(logits, uniform).tolist() == [1, 3, 3]


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.0},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"num_return": 0},
        {"sentence_ids": [1]},
        {"max_length": 0},
    ],
)
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=r"temperature|sentence_ids|max_length"):
        draws(ToyTable(NAMES, 5), **options)


def test_an_empty_batch_has_no_results():
    assert draws(ToyTable([], 5)) == []
