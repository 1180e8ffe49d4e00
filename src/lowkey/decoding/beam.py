"""Batched beam search.

A sentence keeps up to ``num_beams`` live prefixes and a pool of its ``num_beams`` best
finished hypotheses. One step extends every live prefix of every sentence at once::

    step -> candidates -> pool what ends -> keep the best that does not -> move the state

The state (:class:`~lowkey.decoding.decodable.Prefixes`, the pool and the decodable's own) is
moved by one index of rows, from which the rows of a stopped sentence are missing. No step
loops over sentences or beams.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lowkey.decoding.candidates import Candidates, extend
from lowkey.decoding.decodable import Decodable, Hypothesis, Prefixes, log_probabilities
from lowkey.decoding.length_penalty import PenaltyKind
from lowkey.decoding.length_penalty import length_penalty as penalty_of
from lowkey.decoding.pool import Pool, collect
from lowkey.decoding.rules import GivenPrefix, Rule, apply_rules

EarlyStopping = bool | Literal["never"]


@dataclass(frozen=True)
class Scoring:
    """How finished hypotheses are scored, and when a sentence stops.

    Attributes:
        exponent: Exponent of the length.
        kind: How the length counts.
        early_stopping: When a sentence with a full pool stops; see ``beam_search``.
    """

    exponent: float
    kind: PenaltyKind
    early_stopping: EarlyStopping

    def score(
        self, sums: Float[Tensor, "*shape"], lengths: Int[Tensor, "*shape"]
    ) -> Float[Tensor, "*shape"]:
        """Divides sums of log probabilities by the penalty of their lengths.

        Args:
            sums: The sums.
            lengths: Tokens that were chosen, given ones not among them.

        Returns:
            The scores.
        """
        # Nothing has ended where nothing was chosen yet; the 1 only avoids a division by zero.
        return sums / penalty_of(lengths.clamp(min=1), self.exponent, self.kind)

    def can_improve(
        self, pool: Pool, live: Prefixes, best: Candidates
    ) -> Bool[Tensor, " sentences"]:
        """Tells which sentences go on.

        Args:
            pool: What has ended.
            live: The prefixes before this step.
            best: Those that the sentences would go on with.

        Returns:
            Whether something better may come.
        """
        length, rows = live.length + 1, best.rows[:, 0]
        limits, given = live.limits[rows], live.given[rows]
        to_the_end = self.early_stopping == "never" and self.exponent > 0
        kindest = limits if to_the_end else torch.full_like(limits, length)
        bounds = self.score(best.sums[:, 0], kindest - given)
        # A pool with room has a bar of minus infinity, which every possible prefix beats.
        bars = pool.bars
        full = bars.isfinite() & (self.early_stopping is True)
        return (bounds > bars) & (limits > length) & ~full


@torch.inference_mode()
def beam_search(
    decodable: Decodable,
    *,
    begin_id: int,
    end_id: int,
    max_length: int | Tensor,
    num_beams: int,
    length_penalty: float = 1.0,
    length_penalty_kind: PenaltyKind = "average",
    num_return: int = 1,
    early_stopping: EarlyStopping = False,
    rules: Sequence[Rule] = (),
    prefixes: Sequence[Sequence[int]] | None = None,
) -> list[list[Hypothesis]]:
    r"""Finds likely continuations of every sentence, whatever its batch mates.

    The score of a hypothesis of :math:`n` tokens, its end token included, is

    .. math:: \frac{1}{n^{\text{length\_penalty}}} \sum_{t=1}^{n} \log p(y_t \mid y_{<t})

    or has the divisor of Wu et al. (see ``length_penalty.py``). Tokens of a given prefix count
    neither in the sum nor in :math:`n`.

    Candidates, pool and stopping rule are those of ``transformers``: at each step the
    ``2 * num_beams`` best extensions are looked at; those of the first ``num_beams`` that
    end, or reach ``max_length``, go to the pool; the best that do not end live on. Equal
    scores are ordered by beam, then by token id. Where logits hold NaN or plus infinity, the
    prefix dies; a sentence with no live prefix and an empty pool returns what it had,
    unfinished, with score minus infinity.

    Args:
        decodable: The batch to decode; it is used up.
        begin_id: The token every sentence starts from.
        end_id: The token that ends a sentence.
        max_length: Tokens a sentence may have, its end token included: one number, or one
            per sentence. Hypotheses cut off there compete by score, as unfinished.
        num_beams: Live prefixes and pooled hypotheses a sentence, at least 1. One beam is
            greedy search (with a repetition penalty, one that sees log probabilities).
        length_penalty: Exponent of the length; above 0 favours long hypotheses, below 0
            short ones.
        length_penalty_kind: "average" or "gnmt".
        num_return: Hypotheses to return a sentence, 1 to ``num_beams``.
        early_stopping: When a sentence with a full pool stops. True: at once. False: when no
            live prefix would beat the worst of the pool if it ended where it stands, which
            can miss a longer hypothesis if ``length_penalty`` is above 0. "never": when none
            can, whatever follows (its sum can only fall, so the bound is that sum over the
            kindest length left); often as slow as decoding to ``max_length``.
        rules: What restricts the choice; see ``lowkey.decoding.rules``. They see log
            probabilities, and what they leave of them is summed.
        prefixes: Tokens that each sentence is made to begin with, perhaps none.

    Returns:
        For each sentence its hypotheses, best first: ``num_return`` of them, or as many as
        there are if the vocabulary is too small for that.

    Raises:
        ValueError: If a number is out of its range, or there is not one limit per sentence, or
            a prefix leaves no room.
    """
    if not 1 <= num_return <= num_beams:
        raise ValueError(f"num_return={num_return} must lie between 1 and num_beams={num_beams}")
    if decodable.vocab_size < 2:
        raise ValueError("beam search needs a vocabulary of at least 2 tokens")
    scoring = Scoring(length_penalty, length_penalty_kind, early_stopping)
    rules, given = list(rules), None
    if prefixes is not None:
        rules.append(start := GivenPrefix.of(prefixes, decodable.device))
        given = start.lengths
    live = Prefixes.begin(decodable, begin_id, max_length, given)
    pool = Pool.begin(decodable.num_sentences, num_beams, decodable.device)
    gone, width = [], 1
    while len(live.sentences):
        log_probs = log_probabilities(decodable.step(live.tokens[:, -1]))
        candidates = extend(live, apply_rules(rules, live, log_probs), width, num_beams)
        pool = _pool_ends(pool, live, candidates, end_id, scoring)
        width = min(num_beams, width * (decodable.vocab_size - 1))
        ends_last = (candidates.tokens == end_id).int().argsort(dim=1, stable=True)
        best = candidates.choose(ends_last[:, :width])
        going = scoring.can_improve(pool, live, best)
        gone.append(pool.move((~going).nonzero().flatten()))
        stay = going.nonzero().flatten()
        rows = best.rows[stay].flatten()
        if len(rows):
            decodable.reorder(rows)
        pool = pool.move(stay)
        live = live.move(rows).append(best.tokens[stay].flatten(), best.sums[stay].flatten())
    return collect(gone, decodable.num_sentences, num_return)


def _pool_ends(
    pool: Pool, live: Prefixes, candidates: Candidates, end_id: int, scoring: Scoring
) -> Pool:
    """Pools those of the first ``num_beams`` candidates that end or reach their limit."""
    length, places = live.length + 1, pool.scores.shape[1]
    sums, rows, tokens = (
        t[:, :places] for t in (candidates.sums, candidates.rows, candidates.tokens)
    )
    finished = (tokens == end_id) & sums.isfinite()
    leaving = finished | ((live.limits[rows] == length) & sums.isfinite())
    # The best of a sentence's candidates is impossible: nothing of it can live on.
    lost = torch.zeros_like(leaving)
    lost[:, 0] = sums[:, 0].isneginf() & (pool.lengths[:, 0] < 0)
    scores = scoring.score(sums, length - live.given[rows])
    # Neither the end token nor an impossible one is kept.
    lengths = (length - (finished | lost).long()).masked_fill(~(leaving | lost), -1)
    longer = torch.cat([live.tokens[rows, 1:], tokens[:, :, None]], dim=2)
    return pool.add(scores.masked_fill(~leaving, -torch.inf), lengths, finished, longer)
