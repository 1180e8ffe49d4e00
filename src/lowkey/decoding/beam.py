"""Batched beam search.

A sentence keeps up to ``num_beams`` live prefixes and a pool of its ``num_beams`` best
finished hypotheses. One step extends every live prefix of every sentence at once::

    step -> candidates -> pool what ends -> keep the best that does not -> move the state

The state (:class:`~lowkey.decoding.decodable.Prefixes`, and the decodable's own) is moved by
one index of rows, from which the rows of a stopped sentence are missing.
"""

from bisect import insort
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lowkey.decoding.decodable import Decodable, Hypothesis, Prefixes

EarlyStopping = bool | Literal["never"]


@dataclass(frozen=True)
class Candidates:
    """The best one-token extensions of each live sentence, best first.

    Attributes:
        sums: Sum of log probabilities; minus infinity marks an impossible extension.
        rows: The row each one extends.
        tokens: The token it appends.
    """

    sums: Float[Tensor, "sentences candidates"]
    rows: Int[Tensor, "sentences candidates"]
    tokens: Int[Tensor, "sentences candidates"]

    def choose(self, columns: Int[Tensor, "sentences chosen"]) -> "Candidates":
        """Returns the candidates in these columns.

        Args:
            columns: For each sentence, columns in their new order.

        Returns:
            The chosen candidates.
        """
        chosen = (t.gather(1, columns) for t in (self.sums, self.rows, self.tokens))
        return Candidates(*chosen)


@dataclass
class Pool:
    """The best hypotheses of one sentence so far, best first."""

    size: int
    hypotheses: list[Hypothesis] = field(default_factory=list)

    def add(self, hypothesis: Hypothesis) -> None:
        """Keeps a hypothesis if it is among the best; of equals the earlier stays.

        Args:
            hypothesis: The newcomer.
        """
        insort(self.hypotheses, hypothesis, key=lambda kept: -kept.score)
        del self.hypotheses[self.size :]

    @property
    def bar(self) -> float:
        """The score a newcomer must beat."""
        return self.hypotheses[-1].score if len(self.hypotheses) == self.size else -torch.inf


@torch.inference_mode()
def beam_search(
    decodable: Decodable,
    *,
    begin_id: int,
    end_id: int,
    max_length: int | Tensor,
    num_beams: int,
    length_penalty: float = 1.0,
    num_return: int = 1,
    early_stopping: EarlyStopping = False,
) -> list[list[Hypothesis]]:
    r"""Finds likely continuations of every sentence, whatever its batch mates.

    The score of a hypothesis of :math:`n` tokens, its end token included, is

    .. math:: \frac{1}{n^{\text{length\_penalty}}} \sum_{t=1}^{n} \log p(y_t \mid y_{<t}).

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
            greedy search.
        length_penalty: Exponent of the length; above 0 favours long hypotheses, below 0
            short ones.
        num_return: Hypotheses to return a sentence, 1 to ``num_beams``.
        early_stopping: When a sentence with a full pool stops. True: at once. False: when no
            live prefix would beat the worst of the pool if it ended where it stands, which
            can miss a longer hypothesis if ``length_penalty`` is above 0. "never": when none
            can, whatever follows (its sum can only fall, so the bound is that sum over the
            kindest length left); often as slow as decoding to ``max_length``.

    Returns:
        For each sentence its hypotheses, best first: ``num_return`` of them, or as many as
        there are if the vocabulary is too small for that.

    Raises:
        ValueError: If a number is out of its range, or there is not one limit per sentence.
    """
    if not 1 <= num_return <= num_beams:
        raise ValueError(f"num_return={num_return} must lie between 1 and num_beams={num_beams}")
    if decodable.vocab_size < 2:
        raise ValueError("beam search needs a vocabulary of at least 2 tokens")
    live = Prefixes.begin(decodable, begin_id, max_length)
    pools = [Pool(num_beams) for _ in range(decodable.num_sentences)]
    width = 1
    while len(live.sentences):
        candidates = _extend(live, decodable.step(live.tokens[:, -1]), width, num_beams)
        _pool_ends(pools, live, candidates, end_id, num_beams, length_penalty)
        width = min(num_beams, width * (decodable.vocab_size - 1))
        ends_last = (candidates.tokens == end_id).int().argsort(dim=1, stable=True)
        best = candidates.choose(ends_last[:, :width])
        going = _can_improve(pools, live, best, length_penalty, early_stopping)
        rows = best.rows[going].flatten()
        if len(rows):
            decodable.reorder(rows)
        live = live.move(rows).append(best.tokens[going].flatten(), best.sums[going].flatten())
    return [pool.hypotheses[:num_return] for pool in pools]


def _extend(
    live: Prefixes, logits: Float[Tensor, "rows vocab"], width: int, num_beams: int
) -> Candidates:
    """Returns the best extensions of each sentence, twice as many as beams.

    At most one extension of a row ends it, so at least ``num_beams`` of them live on.
    """
    best, tokens = _top(logits, min(2 * num_beams, logits.shape[1]))
    gains = best - logits.logsumexp(dim=1, keepdim=True)
    sums = live.sums[:, None] + gains
    sums = sums.masked_fill(sums.isnan(), -torch.inf)
    rows = torch.arange(len(sums), device=sums.device)[:, None].expand_as(tokens)
    by_sentence = Candidates(*(t.reshape(-1, width * t.shape[1]) for t in (sums, rows, tokens)))
    order = by_sentence.sums.argsort(dim=1, descending=True, stable=True)
    return by_sentence.choose(order[:, : 2 * num_beams])


def _top(
    logits: Float[Tensor, "rows vocab"], count: int
) -> tuple[Float[Tensor, "rows count"], Int[Tensor, "rows count"]]:
    """Returns the largest logits of each row and their tokens; of equals the lower token.

    ``torch.topk`` promises no order among equals. Its pick is sorted here, and a row in
    which equals stand on both sides of the cut (rare) is sorted whole.
    """
    tokens = logits.topk(count, dim=1).indices.sort(dim=1).values
    values, order = logits.gather(1, tokens).sort(dim=1, descending=True, stable=True)
    tokens = tokens.gather(1, order)
    split = (logits >= values[:, -1:]).sum(dim=1) > count
    if split.any():
        whole = logits[split].sort(dim=1, descending=True, stable=True)
        values[split], tokens[split] = whole.values[:, :count], whole.indices[:, :count]
    return values, tokens


def _pool_ends(
    pools: list[Pool],
    live: Prefixes,
    candidates: Candidates,
    end_id: int,
    num_beams: int,
    length_penalty: float,
) -> None:
    """Pools those of the first ``num_beams`` candidates that end or reach their limit."""
    length = live.length + 1
    sums, rows, tokens = (
        t[:, :num_beams] for t in (candidates.sums, candidates.rows, candidates.tokens)
    )
    leaving = ((tokens == end_id) | (live.limits[rows] == length)) & sums.isfinite()
    for where in leaving.nonzero().tolist():
        row, token = int(rows[*where]), int(tokens[*where])
        finished = token == end_id
        score = float(sums[*where]) / length**length_penalty
        token_ids = live.tokens[row, 1:].tolist() + ([] if finished else [token])
        pools[int(live.sentences[row])].add(Hypothesis(token_ids, score, finished))
    # The best of a sentence's candidates is impossible: nothing of it can live on.
    for row in rows[sums[:, 0].isneginf(), 0].tolist():
        pool = pools[int(live.sentences[row])]
        if not pool.hypotheses:
            pool.add(Hypothesis(live.tokens[row, 1:].tolist(), -torch.inf, finished=False))


def _can_improve(
    pools: list[Pool],
    live: Prefixes,
    best: Candidates,
    length_penalty: float,
    early_stopping: EarlyStopping,
) -> Bool[Tensor, " sentences"]:
    """Returns which sentences go on; ``best`` are the prefixes they would go on with."""
    length, rows = live.length + 1, best.rows[:, 0]
    limits = live.limits[rows]
    bars = best.sums.new_tensor([pools[s].bar for s in live.sentences[rows].tolist()])
    kindest = limits if early_stopping == "never" and length_penalty > 0 else length
    bounds = best.sums[:, 0] / kindest**length_penalty
    # A pool with room has a bar of minus infinity, which every possible prefix beats.
    return (bounds > bars) & (limits > length) & ~(bars.isfinite() & (early_stopping is True))
