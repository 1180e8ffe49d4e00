import math

import pytest
import torch
from decoding.toy import ToyTable
from transformers import (
    MinLengthLogitsProcessor,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
)

from lowkey.decoding.beam import beam_search
from lowkey.decoding.decodable import Prefixes
from lowkey.decoding.greedy import greedy
from lowkey.decoding.rules import (
    Ban,
    EndAtLimit,
    GivenPrefix,
    MinLength,
    NoRepeatNgrams,
    Renormalize,
    RepetitionPenalty,
    apply_rules,
)

NAMES = [f"sentence {i}" for i in range(6)]
IDS = {"begin_id": 0, "end_id": 1}


def prefixes(*, rows=40, length=9, vocab=5, seed=0):
    """Random prefixes of random sentences, and random scores of their next tokens."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(vocab, (rows, length), generator=generator)
    sentences = torch.randint(len(NAMES), (rows,), generator=generator)
    limits, given = torch.full((rows,), 20), torch.zeros(rows, dtype=torch.long)
    live = Prefixes(sentences, tokens, torch.zeros(rows), limits, given)
    return live, torch.randn(rows, vocab, generator=generator)


@pytest.mark.parametrize("length", [1, 2, 3, 9])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_ngrams_are_banned_as_in_transformers(size, length):
    live, scores = prefixes(length=length)
    expected = NoRepeatNGramLogitsProcessor(size)(live.tokens, scores.clone())
    found = NoRepeatNgrams(size)(live, scores)
    assert torch.equal(found, expected)
    assert found.isinf().any() or length < 9


@pytest.mark.parametrize("penalty", [0.5, 1.3])
def test_repetition_is_punished_as_in_transformers(penalty):
    live, scores = prefixes()
    expected = RepetitionPenaltyLogitsProcessor(penalty)(live.tokens, scores.clone())
    assert torch.equal(RepetitionPenalty(penalty)(live, scores), expected)
    assert not torch.equal(expected, scores)


@pytest.mark.parametrize("least", [1, 9, 10, 11])
def test_the_end_is_banned_as_in_transformers(least):
    live, scores = prefixes()
    expected = MinLengthLogitsProcessor(least, 1)(live.tokens, scores.clone())
    assert torch.equal(MinLength(torch.full((len(NAMES),), least), 1)(live, scores), expected)


def test_a_rule_leaves_the_scores_it_was_given_alone():
    live, scores = prefixes()
    before = scores.clone()
    rules = [Ban([2]), RepetitionPenalty(2.0), NoRepeatNgrams(2), EndAtLimit(1)]
    rules += [MinLength(torch.full((6,), 99), 1), GivenPrefix.of([[3] * 12] * 6, scores.device)]
    changed = apply_rules(rules, live, scores)
    assert torch.equal(scores, before)
    assert not torch.equal(changed, before)


def test_banned_tokens_are_never_said():
    for search in (greedy, lambda *a, **k: [b for (b,) in beam_search(*a, num_beams=3, **k)]):
        free = search(ToyTable(NAMES, 5), **IDS, max_length=6)
        found = search(ToyTable(NAMES, 5), **IDS, max_length=6, rules=[Ban([2, 4])])
        assert {2, 4} & {token for one in free for token in one.token_ids}
        assert not {2, 4} & {token for one in found for token in one.token_ids}


def test_each_sentence_has_its_own_least_length():
    lengths = torch.tensor([1, 7, 3, 1, 5, 6])
    found = greedy(ToyTable(NAMES, 3), **IDS, max_length=8, rules=[MinLength(lengths, 1)])
    free = greedy(ToyTable(NAMES, 3), **IDS, max_length=8)
    for one, other, least in zip(found, free, lengths.tolist(), strict=True):
        assert len(one.token_ids) + one.finished >= least
        if len(other.token_ids) + other.finished >= least:
            assert one == other
    assert found != free


def test_a_sentence_may_be_ended_where_it_would_be_cut():
    table = ToyTable(NAMES, 30)
    cut = greedy(table, **IDS, max_length=3)
    ended = greedy(ToyTable(NAMES, 30), **IDS, max_length=3, rules=[EndAtLimit(1)])
    assert not all(one.finished for one in cut)
    assert all(one.finished for one in ended)
    for before, after in zip(cut, ended, strict=True):
        assert after.token_ids == before.token_ids[:2]


def test_ragged_prefixes_stand_in_front_and_cost_nothing():
    given = [[], [2], [3, 0, 2], [4, 4], [], [2, 3, 4, 2]]
    found = greedy(ToyTable(NAMES, 5), **IDS, max_length=7, prefixes=given)
    table = ToyTable(NAMES, 5)
    for name, start, one in zip(NAMES, given, found, strict=True):
        assert one.token_ids[: len(start)] == start
        total = 0.0
        said = [*one.token_ids, *[1] * one.finished]
        for at in range(len(start), len(said)):
            logits = table.logits(name, (0, *said[:at]))
            assert logits[said[at]] == max(logits)
            total += max(logits) - math.log(sum(math.exp(x) for x in logits))
        assert one.score == pytest.approx(total, abs=1e-5)


def test_a_prefix_wins_over_the_other_rules():
    rules = [NoRepeatNgrams(1), Ban([2])]
    given = [[2, 2, 3, 2]] * 6
    for found in (
        greedy(ToyTable(NAMES, 9), **IDS, max_length=7, rules=rules, prefixes=given),
        [best for best, *_ in beam_search(
            ToyTable(NAMES, 9), **IDS, max_length=7, num_beams=3, rules=rules, prefixes=given
        )],
    ):  # fmt: skip
        for one in found:
            assert one.token_ids[:4] == given[0]
            assert not {2, 3} & set(one.token_ids[4:])


@pytest.mark.parametrize("search", [greedy, lambda *a, **k: beam_search(*a, num_beams=2, **k)])
def test_a_prefix_that_leaves_no_room_is_refused(search):
    with pytest.raises(ValueError, match="a prefix must be shorter than max_length"):
        search(ToyTable(NAMES[:1], 5), **IDS, max_length=2, prefixes=[[2, 3]])


def test_where_the_rules_allow_nothing_a_sentence_stops():
    everything = Ban(range(5))
    for one in greedy(ToyTable(NAMES, 5), **IDS, max_length=4, rules=[everything]):
        assert (one.token_ids, one.score, one.finished) == ([], -math.inf, False)
    for (one,) in beam_search(
        ToyTable(NAMES, 5), **IDS, max_length=4, num_beams=2, rules=[everything]
    ):
        assert (one.token_ids, one.score, one.finished) == ([], -math.inf, False)


def test_what_a_ban_leaves_sums_to_one_again_as_in_transformers():
    from transformers import LogitNormalization

    live, scores = prefixes()
    left = Ban([3])(live, scores.log_softmax(dim=1))
    again = Renormalize()(live, left)
    torch.testing.assert_close(again, LogitNormalization()(live.tokens, left))
    torch.testing.assert_close(again.exp().sum(dim=1), torch.ones(len(again)))
    assert (left.exp().sum(dim=1) < 0.999).any()
    impossible = torch.full_like(scores, -torch.inf)
    assert torch.equal(Renormalize()(live, impossible), impossible)
