"""The hypotheses that a beam search has finished: tensors, one row a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lowkey.decoding.decodable import Hypothesis, Rows


@dataclass(frozen=True)
class Pool(Rows):
    """The best hypotheses of each sentence so far, best first.

    Attributes:
        sentences: The sentence of a row.
        scores: Their scores; minus infinity where a place is free.
        lengths: Their tokens, the end token not counted; -1 where a place is free.
        finished: Whether the model ended them.
        tokens: Their tokens, filled up at their ends.
    """

    sentences: Int[Tensor, " sentences"]
    scores: Float[Tensor, "sentences places"]
    lengths: Int[Tensor, "sentences places"]
    finished: Bool[Tensor, "sentences places"]
    tokens: Int[Tensor, "sentences places length"]

    @classmethod
    def begin(cls, num_sentences: int, places: int, device: torch.device) -> "Pool":
        """Returns a pool with nothing in it.

        Args:
            num_sentences: Sentences in the batch.
            places: Hypotheses to keep of each.
            device: Where the search runs.

        Returns:
            The pool.
        """
        free = torch.full((num_sentences, places), -1, device=device)
        return cls(
            sentences=torch.arange(num_sentences, device=device),
            scores=torch.full(free.shape, -torch.inf, device=device),
            lengths=free,
            finished=free > 0,
            tokens=free[:, :, None][:, :, :0],
        )

    @property
    def bars(self) -> Float[Tensor, " sentences"]:
        """The scores that newcomers must beat: minus infinity where a place is free."""
        return self.scores[:, -1]

    def add(
        self,
        scores: Float[Tensor, "sentences newcomers"],
        lengths: Int[Tensor, "sentences newcomers"],
        finished: Bool[Tensor, "sentences newcomers"],
        tokens: Int[Tensor, "sentences newcomers longer"],
    ) -> "Pool":
        """Keeps the best of those in the pool and the newcomers; of equals the earlier stays.

        Args:
            scores: Scores of the newcomers.
            lengths: Their tokens, the end token not counted; -1 where there is none.
            finished: Whether the model ended them.
            tokens: Their tokens, one more than the pool's.

        Returns:
            The new pool.
        """
        places = self.scores.shape[1]
        scores = torch.cat([self.scores, scores], dim=1)
        lengths = torch.cat([self.lengths, lengths], dim=1)
        finished = torch.cat([self.finished, finished], dim=1)
        # Behind every score, and still before a free place, stands what has none.
        least = torch.finfo(scores.dtype).min
        rank = scores.clamp(min=least).masked_fill(lengths < 0, -torch.inf)
        best = rank.argsort(dim=1, descending=True, stable=True)[:, :places]
        old = torch.nn.functional.pad(self.tokens, (0, 1))
        chosen = best[:, :, None].expand(-1, -1, old.shape[2])
        all_tokens = torch.cat([old, tokens], dim=1).gather(1, chosen)
        return Pool(
            self.sentences,
            scores.gather(1, best),
            lengths.gather(1, best),
            finished.gather(1, best),
            all_tokens,
        )


def collect(pools: Sequence[Pool], num_sentences: int, num_return: int) -> list[list[Hypothesis]]:
    """Turns the pools of sentences that left the search into hypotheses.

    Args:
        pools: The pools; each sentence stands in one of them.
        num_sentences: Sentences in the batch.
        num_return: Most hypotheses of a sentence.

    Returns:
        For each sentence its hypotheses, best first.
    """
    results: list[list[Hypothesis]] = [[] for _ in range(num_sentences)]
    for pool in pools:
        for sentence, *places in zip(
            pool.sentences.tolist(),
            pool.scores.tolist(),
            pool.lengths.tolist(),
            pool.finished.tolist(),
            pool.tokens.tolist(),
            strict=True,
        ):
            results[sentence] = [
                Hypothesis(tokens[:length], score, finished)
                for score, length, finished, tokens in zip(*places, strict=True)
                if length >= 0
            ][:num_return]
    return results
