import math

import pytest
import torch
from decoding.toy import ToyTable, brute_force

from lowkey.decoding.beam import beam_search
from lowkey.decoding.greedy import greedy

NAMES = [f"sentence {i}" for i in range(6)]
IDS = {"begin_id": 0, "end_id": 1}


def search(table, max_length=5, num_beams=3, **options):
    return beam_search(table, **IDS, max_length=max_length, num_beams=num_beams, **options)


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0, 2.0, -0.5])
def test_a_wide_beam_equals_brute_force(length_penalty):
    table = ToyTable(NAMES[:3], vocab_size=4)
    results = search(
        table, max_length=4, num_beams=200, length_penalty=length_penalty, num_return=200
    )
    for name, hypotheses in zip(table.names, results, strict=True):
        truth = brute_force(table, name, **IDS, max_length=4, length_penalty=length_penalty)
        assert len(hypotheses) == len(truth) == 1 + 3 + 9 + 27 * 4
        for hypothesis, (score, token_ids, finished) in zip(hypotheses, truth, strict=True):
            assert (hypothesis.token_ids, hypothesis.finished) == (token_ids, finished)
            assert hypothesis.score == pytest.approx(score, abs=1e-5)


def test_a_narrow_beam_with_swapped_rows_is_not_brute_force():
    class Swapped(ToyTable):
        def reorder(self, rows):
            super().reorder(rows.flip(0) if len(rows) > 1 else rows)

    right = search(ToyTable(NAMES[:1], vocab_size=4), num_beams=200, num_return=5)
    assert search(Swapped(NAMES[:1], vocab_size=4), num_beams=200, num_return=5) != right


@pytest.mark.parametrize("num_beams", [1, 2, 5])
def test_scores_are_those_of_the_returned_tokens(num_beams):
    table = ToyTable(NAMES, vocab_size=6)
    for name, hypotheses in zip(NAMES, search(table, num_beams=num_beams), strict=True):
        truth = brute_force(table, name, **IDS, max_length=5, length_penalty=1.0)
        scores = {tuple(token_ids): score for score, token_ids, _ in truth}
        [best] = hypotheses
        assert best.score == pytest.approx(scores[tuple(best.token_ids)], abs=1e-5)


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("ties", [False, True])
def test_one_beam_is_greedy_search(length_penalty, ties):
    names = [f"sentence {i}" for i in range(40)]
    found = search(
        ToyTable(names, 6, ties=ties), max_length=7, num_beams=1, length_penalty=length_penalty
    )
    expected = greedy(ToyTable(names, 6, ties=ties), **IDS, max_length=7)
    for [beam], one in zip(found, expected, strict=True):
        length = len(one.token_ids) + one.finished
        assert (beam.token_ids, beam.finished) == (one.token_ids, one.finished)
        assert beam.score == pytest.approx(one.score / length**length_penalty, abs=1e-5)


@pytest.mark.parametrize("early_stopping", [True, False, "never"])
def test_batch_mates_do_not_matter_and_stopped_sentences_leave(early_stopping):
    names = [f"sentence {i}" for i in range(20)]
    limits = torch.tensor([3, 12] * 10)
    options = {"num_beams": 4, "num_return": 4, "early_stopping": early_stopping}
    table = ToyTable(names, 7)
    together = search(table, limits, **options)
    alone = [ToyTable([name], 7) for name in names]
    for one, limit, expected in zip(alone, limits.tolist(), together, strict=True):
        assert search(one, limit, **options) == [expected]
    longest = max(len(one.rows_stepped) for one in alone)
    work = [one.rows_stepped + [0] * (longest - len(one.rows_stepped)) for one in alone]
    assert table.rows_stepped == [sum(rows) for rows in zip(*work, strict=True)]
    assert min(table.rows_stepped) < 20 * 4  # some stopped before others


def test_never_stops_later_and_finds_at_least_as_good():
    names = [f"sentence {i}" for i in range(40)]
    tables = {rule: ToyTable(names, 5) for rule in (True, False, "never")}
    scores = {
        rule: [found[0].score for found in search(table, 9, early_stopping=rule)]
        for rule, table in tables.items()
    }
    steps = {rule: sum(table.rows_stepped) for rule, table in tables.items()}
    assert steps[True] < steps[False] < steps["never"]
    assert all(a >= b for a, b in zip(scores["never"], scores[False], strict=True))
    assert all(a >= b for a, b in zip(scores[False], scores[True], strict=True))
    assert scores["never"] != scores[False] != scores[True]


def test_equal_scores_are_ordered_by_beam_then_token():
    class Flat(ToyTable):
        def logits(self, name, prefix):
            return [0.0] * self.vocab_size

    [found] = search(Flat(["x"], 300), max_length=2, num_beams=4, num_return=4, length_penalty=0.0)
    assert [h.token_ids for h in found] == [[], [0, 0], [0], [0, 2]]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_sentence_without_probabilities_stops_and_leaves_the_others_alone(bad):
    class Slow(ToyTable):
        """Ends nothing before its third step, where one sentence breaks."""

        def logits(self, name, prefix):
            values = super().logits(name, prefix)
            if name == "broken" and len(prefix) == 3:
                return [bad] * self.vocab_size
            return [values[0], -99.0, *values[2:]] if len(prefix) < 3 else values

    options = {"max_length": 6, "num_beams": 3, "num_return": 3}
    results = search(Slow(["broken", *NAMES], 30), **options)
    assert results[1:] == search(Slow(NAMES, 30), **options)
    [cut] = results[0]
    assert (len(cut.token_ids), cut.score, cut.finished) == (2, -math.inf, False)


def test_one_dead_prefix_leaves_its_sentence_alive():
    class Broken(ToyTable):
        def logits(self, name, prefix):
            values = super().logits(name, prefix)
            return [math.nan, *values[1:]] if prefix == (0, 2) else values

    [found] = search(Broken(["x"], 4), num_beams=200, num_return=200, max_length=4)
    truth = brute_force(ToyTable(["x"], 4), "x", **IDS, max_length=4, length_penalty=1.0)
    expected = [ids for _, ids, _ in truth if ids[:1] != [2]]
    assert [hypothesis.token_ids for hypothesis in found] == expected


def test_forbidden_tokens_never_appear():
    class Forbidding(ToyTable):
        def logits(self, name, prefix):
            values = super().logits(name, prefix)
            return [values[0], values[1], *[-math.inf] * (self.vocab_size - 2)]

    for hypotheses in search(Forbidding(NAMES, 9), num_beams=20, num_return=20):
        assert sorted(h.token_ids for h in hypotheses) == [[0] * n for n in range(6)]
        assert all(h.score > -math.inf for h in hypotheses)


def test_a_cut_sentence_says_so():
    class Endless(ToyTable):
        def logits(self, name, prefix):
            return [super().logits(name, prefix)[0], -math.inf, 0.0, 1.0]

    [[found]] = search(Endless(["x"], 4), max_length=6)
    assert len(found.token_ids) == 6
    assert not found.finished


def test_an_empty_batch_has_no_results():
    assert search(ToyTable([], 5)) == []


@pytest.mark.parametrize(
    "options",
    [{"num_beams": 0}, {"num_return": 4}, {"num_return": 0}, {"max_length": 0}],
)
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=r"num_beams|max_length"):
        search(ToyTable(NAMES, 5), **options)
