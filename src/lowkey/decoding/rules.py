"""What a search may say, whatever the model thinks: rules that see prefixes and scores.

Greedy search, beam search and sampling share them. A rule maps scores to scores and forbids a
token by minus infinity. Greedy search and sampling hand it the model's logits, beam search log
probabilities, as ``transformers`` does; only for the repetition penalty that is a difference.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lowkey.decoding.decodable import Prefixes

Rule: TypeAlias = Callable[[Prefixes, Tensor], Tensor]
"""Takes live prefixes and the scores of their next tokens, one row each; returns new scores."""


def apply_rules(
    rules: Sequence[Rule], live: Prefixes, scores: Float[Tensor, "rows vocab"]
) -> Float[Tensor, "rows vocab"]:
    """Applies rules one after the other.

    Args:
        rules: The rules; a later one has the last word.
        live: The prefixes.
        scores: Scores of their next tokens.

    Returns:
        The scores by which the search chooses.
    """
    for rule in rules:
        scores = rule(live, scores)
    return scores


@dataclass(frozen=True)
class Ban:
    """Forbids tokens everywhere, such as padding.

    Attributes:
        token_ids: The forbidden tokens.
    """

    token_ids: Sequence[int]

    def __call__(self, live: Prefixes, scores: Tensor) -> Tensor:
        """Forbids them.

        Args:
            live: The prefixes.
            scores: Scores of their next tokens.

        Returns:
            The new scores.
        """
        banned = torch.tensor(list(self.token_ids), dtype=torch.long, device=scores.device)
        return scores.index_fill(1, banned, -torch.inf)


@dataclass(frozen=True)
class RepetitionPenalty:
    """Makes tokens that the prefix holds already less likely, its begin token among them.

    A positive score is divided by the penalty and a negative one multiplied, once however often
    the token occurred.

    Attributes:
        penalty: Above 1 against repetition, below 1 in its favour; greater than 0.

    References:
        Keskar et al., "CTRL: A Conditional Transformer Language Model for Controllable
        Generation", 2019, arXiv:1909.05858, section 4.1 (for positive scores).
    """

    penalty: float

    def __call__(self, live: Prefixes, scores: Tensor) -> Tensor:
        """Weakens what was said.

        Args:
            live: The prefixes.
            scores: Scores of their next tokens.

        Returns:
            The new scores.
        """
        said = scores.gather(1, live.tokens)
        weaker = torch.where(said < 0, said * self.penalty, said / self.penalty)
        return scores.scatter(1, live.tokens, weaker)


@dataclass(frozen=True)
class NoRepeatNgrams:
    """Forbids every token that would complete an n-gram which the prefix holds already.

    Attributes:
        size: Tokens of an n-gram, at least 1; the begin token counts as one.
    """

    size: int

    def __call__(self, live: Prefixes, scores: Tensor) -> Tensor:
        """Forbids them.

        Args:
            live: The prefixes.
            scores: Scores of their next tokens.

        Returns:
            The new scores.
        """
        if live.tokens.shape[1] < self.size:
            return scores
        ngrams = live.tokens.unfold(1, self.size, 1)
        latest = live.tokens[:, live.tokens.shape[1] - self.size + 1 :]
        begun = (ngrams[:, :, :-1] == latest[:, None, :]).all(dim=2)
        banned = torch.zeros_like(scores).scatter_add(1, ngrams[:, :, -1], begun.to(scores.dtype))
        return scores.masked_fill(banned > 0, -torch.inf)


@dataclass(frozen=True)
class MinLength:
    """Forbids the end token until a sentence is long enough.

    Attributes:
        lengths: Fewest tokens of each sentence of the batch, its end token included.
        end_id: The token that ends a sentence.
    """

    lengths: Int[Tensor, " sentences"]
    end_id: int

    def __call__(self, live: Prefixes, scores: Tensor) -> Tensor:
        """Forbids the end.

        Args:
            live: The prefixes.
            scores: Scores of their next tokens.

        Returns:
            The new scores.
        """
        early = self.lengths.to(scores.device)[live.sentences] > live.length + 1
        scores = scores.clone()
        scores[:, self.end_id] = scores[:, self.end_id].masked_fill(early, -torch.inf)
        return scores


@dataclass(frozen=True)
class EndAtLimit:
    """Ends a sentence at its greatest length, where it would be cut off; that costs nothing.

    Attributes:
        end_id: The token that ends a sentence.
    """

    end_id: int

    def __call__(self, live: Prefixes, scores: Tensor) -> Tensor:
        """Forces the end.

        Args:
            live: The prefixes.
            scores: Scores of their next tokens.

        Returns:
            The new scores.
        """
        ends = torch.full_like(live.sentences, self.end_id)
        return _forced(scores, ends, live.limits == live.length + 1)


@dataclass(frozen=True)
class Renormalize:
    """Makes the probabilities of the tokens that other rules leave sum to 1 again."""

    def __call__(self, live: Prefixes, scores: Tensor) -> Tensor:
        """Normalises.

        Args:
            live: The prefixes.
            scores: Scores of their next tokens.

        Returns:
            Log probabilities; a prefix without a possible token stays without one.
        """
        impossible = scores.isneginf().all(dim=1, keepdim=True)
        return scores.log_softmax(dim=1).masked_fill(impossible, -torch.inf)


@dataclass(frozen=True)
class GivenPrefix:
    """Makes each sentence begin with tokens that are given; they cost nothing.

    Attributes:
        tokens: The given tokens of each sentence of the batch, filled up at their ends.
        lengths: How many there are.
    """

    tokens: Int[Tensor, "sentences longest"]
    lengths: Int[Tensor, " sentences"]

    @classmethod
    def of(cls, prefixes: Sequence[Sequence[int]], device: torch.device) -> "GivenPrefix":
        """Puts ragged prefixes side by side.

        Args:
            prefixes: The tokens of each sentence, perhaps none.
            device: Where the search runs.

        Returns:
            The rule.
        """
        longest = max(map(len, prefixes), default=0)
        filled = [[*prefix, *[0] * (longest - len(prefix))] for prefix in prefixes]
        tokens = torch.tensor(filled, dtype=torch.long).view(len(prefixes), longest)
        lengths = torch.tensor([len(prefix) for prefix in prefixes], dtype=torch.long)
        return cls(tokens.to(device), lengths.to(device))

    def __call__(self, live: Prefixes, scores: Tensor) -> Tensor:
        """Forces the next given token.

        Args:
            live: The prefixes.
            scores: Scores of their next tokens.

        Returns:
            The new scores.
        """
        if live.length >= self.tokens.shape[1]:
            return scores
        return _forced(scores, self.tokens[live.sentences, live.length], live.given > live.length)


def _forced(scores: Tensor, tokens: Tensor, rows: Tensor) -> Tensor:
    """Leaves one token possible, with score 0, in the chosen rows."""
    alone = torch.full_like(scores, -torch.inf).scatter(1, tokens[:, None], 0.0)
    return torch.where(rows[:, None], alone, scores)
