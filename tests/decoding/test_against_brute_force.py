"""Searches with all their options against trying out everything, and against each other."""

import pytest
import torch
from decoding.toy import ToyTable, brute_force
from hypothesis import given, settings
from hypothesis import strategies as st

from lowkey.decoding.beam import beam_search
from lowkey.decoding.greedy import greedy
from lowkey.decoding.rules import Ban, MinLength, NoRepeatNgrams, RepetitionPenalty

IDS = {"begin_id": 0, "end_id": 1}
STARTS = st.lists(st.sampled_from([0, 2, 3]), max_size=2)
KINDS = st.sampled_from(["average", "gnmt"])


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    penalty=st.sampled_from([0.0, 0.6, 1.0, 2.0]),
    kind=KINDS,
    starts=st.lists(STARTS, min_size=2, max_size=2),
    limits=st.lists(st.integers(3, 4), min_size=2, max_size=2),
    least=st.lists(st.integers(0, 3), min_size=2, max_size=2),
)
def test_a_wide_beam_equals_brute_force(seed, penalty, kind, starts, limits, least):
    names = [f"{seed} a", f"{seed} b"]
    results = beam_search(
        ToyTable(names, 4),
        **IDS,
        max_length=torch.tensor(limits),
        num_beams=120,
        num_return=120,
        length_penalty=penalty,
        length_penalty_kind=kind,
        early_stopping="never",
        prefixes=starts,
        rules=[MinLength(torch.tensor(least), 1)],
    )
    for i, hypotheses in enumerate(results):
        truth = brute_force(
            ToyTable(names, 4), names[i], **IDS, max_length=limits[i], length_penalty=penalty,
            kind=kind, min_length=least[i], given=tuple(starts[i]),
        )  # fmt: skip
        assert len(hypotheses) == min(len(truth), 120)
        scores = {tuple(ids): (score, finished) for score, ids, finished in truth}
        for hypothesis, (score, _, _) in zip(hypotheses, truth, strict=False):
            own, finished = scores[tuple(hypothesis.token_ids)]
            assert hypothesis.score == pytest.approx(score, abs=1e-5)
            assert hypothesis.score == pytest.approx(own, abs=1e-5)
            assert hypothesis.finished == finished


def test_the_penalty_and_the_least_length_change_the_winner():
    # Otherwise the test above could not see whether they are used.
    names = [f"sentence {i}" for i in range(30)]

    def winners(**options):
        found = beam_search(
            ToyTable(names, 4), **IDS, max_length=4, num_beams=60, early_stopping="never", **options
        )
        return [best.token_ids for (best,) in found]

    plain = winners()
    assert winners(length_penalty_kind="gnmt") != plain
    assert winners(rules=[MinLength(torch.full((30,), 3), 1)]) != plain
    assert winners(prefixes=[[2]] * 30) != plain


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    starts=st.lists(STARTS, min_size=5, max_size=5),
    limits=st.lists(st.integers(3, 8), min_size=5, max_size=5),
    least=st.integers(0, 6),
    size=st.integers(0, 3),
    penalty=st.sampled_from([0.0, 1.0]),
    kind=KINDS,
)
def test_one_beam_is_greedy_search(seed, starts, limits, least, size, penalty, kind):
    names = [f"{seed} {i}" for i in range(5)]
    rules = [Ban([4]), MinLength(torch.full((5,), least), 1)]
    rules += [NoRepeatNgrams(size)] if size else []
    same = {"max_length": torch.tensor(limits), "rules": rules, "prefixes": starts}
    expected = greedy(ToyTable(names, 6), **IDS, **same)
    found = beam_search(
        ToyTable(names, 6), **IDS, **same, num_beams=1, length_penalty=penalty,
        length_penalty_kind=kind,
    )  # fmt: skip
    for (beam,), one, start in zip(found, expected, starts, strict=True):
        assert (beam.token_ids, beam.finished) == (one.token_ids, one.finished)
        n = max(1, len(one.token_ids) + one.finished - len(start))
        divisor = ((5 + n) / 6 if kind == "gnmt" else n) ** penalty
        assert beam.score == pytest.approx(one.score / divisor, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    chosen=st.lists(st.integers(0, 7), min_size=1, max_size=6, unique=True),
    num_beams=st.integers(0, 4),
    kind=KINDS,
    stopping=st.sampled_from([True, False, "never"]),
    repetition=st.sampled_from([0.8, 1.0, 1.4]),
    size=st.integers(0, 3),
)
def test_batch_mates_do_not_matter(chosen, num_beams, kind, stopping, repetition, size):
    limits, least = torch.tensor([3, 9, 4, 8, 5, 7, 6, 9]), torch.arange(8) % 5
    starts = [[2, 3, 0][: i % 4] if limits[i] > 3 else [] for i in range(8)]

    def run(which):
        options = {
            "max_length": limits[which],
            "prefixes": [starts[i] for i in which],
            "rules": [
                RepetitionPenalty(repetition),
                *([NoRepeatNgrams(size)] if size else []),
                MinLength(least[which], 1),
            ],
        }
        table = ToyTable([f"sentence {i}" for i in which], 6)
        if not num_beams:
            return [[one] for one in greedy(table, **IDS, **options)]
        return beam_search(
            table, **IDS, **options, num_beams=num_beams, num_return=num_beams,
            length_penalty_kind=kind, early_stopping=stopping,
        )  # fmt: skip

    assert run(chosen) == [run([i])[0] for i in chosen]
