import math

import pytest
import torch
from decoding.toy import ToyTable

from lowkey.decoding.greedy import greedy

NAMES = [f"sentence {i}" for i in range(12)]


def decode(table, max_length=8):
    return greedy(table, begin_id=0, end_id=1, max_length=max_length)


def by_hand(table, name, max_length):
    prefix, total = (0,), 0.0
    while True:
        logits = table.logits(name, prefix)
        token = max(range(len(logits)), key=lambda i: (logits[i], -i))
        total += logits[token] - math.log(sum(math.exp(x) for x in logits))
        if token == 1:
            return list(prefix[1:]), total, True
        prefix += (token,)
        if len(prefix) > max_length:
            return list(prefix[1:]), total, False


@pytest.mark.parametrize("ties", [False, True])
def test_takes_the_likeliest_token_of_every_step(ties):
    table = ToyTable(NAMES, vocab_size=5, ties=ties)
    results = decode(table, max_length=3)
    assert {result.finished for result in results} == {True, False}
    for name, result in zip(NAMES, results, strict=True):
        token_ids, total, finished = by_hand(table, name, 3)
        assert (result.token_ids, result.finished) == (token_ids, finished)
        assert result.score == pytest.approx(total, abs=1e-5)


def test_batch_mates_do_not_matter_and_finished_sentences_leave():
    table = ToyTable(NAMES, vocab_size=5)
    together = decode(table)
    assert together == [decode(ToyTable([name], vocab_size=5))[0] for name in NAMES]
    lengths = [len(result.token_ids) + result.finished for result in together]
    steps = range(max(lengths))
    assert table.rows_stepped == [sum(length > step for length in lengths) for step in steps]


def test_each_sentence_has_its_own_limit():
    limits = torch.arange(1, 13)
    results = decode(ToyTable(NAMES, vocab_size=5), limits)
    alone = [
        decode(ToyTable([name], vocab_size=5), int(limit))[0]
        for name, limit in zip(NAMES, limits, strict=True)
    ]
    assert results == alone


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_sentence_without_probabilities_stops_and_leaves_the_others_alone(bad):
    class Slow(ToyTable):
        """Ends nothing before its third step, where one sentence breaks."""

        def logits(self, name, prefix):
            values = super().logits(name, prefix)
            if len(prefix) < 3:
                values[1] = -9.0
            if name == "broken" and len(prefix) == 3:
                values[1] = bad
            return values

    results = decode(Slow(["broken", *NAMES], vocab_size=5))
    assert results[1:] == decode(Slow(NAMES, vocab_size=5))
    assert results[0].score == -math.inf
    assert not results[0].finished
    assert len(results[0].token_ids) == 2


def test_an_empty_batch_has_no_results():
    assert decode(ToyTable([], vocab_size=5)) == []


@pytest.mark.parametrize("limits", [0, torch.tensor([3, 0]), torch.tensor([3])])
def test_impossible_limits_are_refused(limits):
    with pytest.raises(ValueError, match="max_length"):
        decode(ToyTable(NAMES[:2], vocab_size=5), limits)
