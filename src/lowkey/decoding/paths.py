"""One token a row and step: the loop that greedy search and sampling share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from lowkey.decoding.decodable import Decodable, Hypothesis, Prefixes, Rows, log_probabilities
from lowkey.decoding.rules import GivenPrefix, Rule, apply_rules

Choice = Callable[[Prefixes, Tensor], Tensor]
"""Takes live prefixes and the scores of their next tokens; returns a token for each row."""


@dataclass(frozen=True)
class Paths(Rows):
    """The whole state of the loop, one row a path; the paths of a sentence stand together.

    Attributes:
        prefixes: What was chosen so far. A path that is done goes on until its sentence is, and
            what it says then is not looked at.
        lengths: How many tokens a path that is done has, without its end token; -1: it goes on.
        finished: Whether the model ended it.
    """

    prefixes: Prefixes
    lengths: Int[Tensor, " rows"]
    finished: Bool[Tensor, " rows"]

    def extend(self, tokens: Tensor, gains: Tensor, end_id: int) -> "Paths":
        """Returns the state after one more token a row.

        Args:
            tokens: The chosen tokens.
            gains: Their log probabilities; minus infinity ends a path, unfinished.
            end_id: The token that ends a sentence.

        Returns:
            The longer state.
        """
        before, going = self.prefixes, self.lengths < 0
        dead = gains.isneginf()
        ended = (tokens == end_id) & ~dead
        length = before.length + 1
        done = going & (ended | dead | (before.limits == length))
        return Paths(
            before.append(tokens, torch.where(going, before.sums + gains, before.sums)),
            # Neither the end token nor one that could not be chosen is kept.
            torch.where(done, length - (ended | dead).long(), self.lengths),
            torch.where(done, ended, self.finished),
        )


def follow(
    decodable: Decodable,
    choose: Choice,
    *,
    begin_id: int,
    end_id: int,
    max_length: int | Tensor,
    rules: Sequence[Rule],
    prefixes: Sequence[Sequence[int]] | None,
    num_paths: int = 1,
) -> list[list[Hypothesis]]:
    """Extends every path by one token at a time until it ends.

    Args:
        decodable: The batch to decode; it is used up.
        choose: Picks the next token of each row.
        begin_id: The token every sentence starts from.
        end_id: The token that ends a sentence.
        max_length: Tokens a sentence may have: one number, or one per sentence.
        rules: What restricts the choice.
        prefixes: Tokens that each sentence is made to begin with.
        num_paths: Paths of a sentence.

    Returns:
        For each sentence its paths, in their order.
    """
    rules = list(rules)
    given = None
    if prefixes is not None:
        rules.append(start := GivenPrefix.of(prefixes, decodable.device))
        given = start.lengths
    live = _begin(Prefixes.begin(decodable, begin_id, max_length, given))
    copies, gone = num_paths, []
    while len(live.lengths):
        logits = decodable.step(live.prefixes.tokens[:, -1])
        rows = torch.arange(len(logits), device=logits.device)
        if copies > 1:  # only now: a fresh decodable has one row a sentence
            rows = rows.repeat_interleave(copies)
            live, logits = live.move(rows), logits[rows]
        before = live.prefixes
        scores = apply_rules(rules, before, logits)
        tokens = choose(before, scores)
        gains = log_probabilities(logits).gather(1, tokens[:, None]).squeeze(1)
        gains = gains.masked_fill(before.given > before.length, 0.0)
        allowed = scores.gather(1, tokens[:, None]).squeeze(1).isfinite()
        live = live.extend(tokens, gains.masked_fill(~allowed, -torch.inf), end_id)
        going = (live.lengths < 0).view(-1, num_paths).any(dim=1).repeat_interleave(num_paths)
        gone.append(live.move((~going).nonzero().flatten()))
        stay = going.nonzero().flatten()
        if not len(stay):
            break
        if copies > 1 or len(stay) < len(rows):
            decodable.reorder(rows[stay])
            live = live.move(stay)
        copies = 1
    return _collect(gone, decodable.num_sentences)


def _begin(prefixes: Prefixes) -> Paths:
    going = torch.full_like(prefixes.sentences, -1)
    return Paths(prefixes, going, torch.zeros_like(going, dtype=torch.bool))


def _collect(gone: Sequence[Paths], num_sentences: int) -> list[list[Hypothesis]]:
    """Turns the states in which sentences left into hypotheses."""
    results: list[list[Hypothesis]] = [[] for _ in range(num_sentences)]
    for paths in gone:
        state = paths.prefixes
        for sentence, tokens, score, length, finished in zip(
            state.sentences.tolist(),
            state.tokens.tolist(),
            state.sums.tolist(),
            paths.lengths.tolist(),
            paths.finished.tolist(),
            strict=True,
        ):
            results[sentence].append(Hypothesis(tokens[1 : length + 1], score, finished))
    return results
