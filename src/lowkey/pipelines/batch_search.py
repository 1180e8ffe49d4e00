"""The search that a bundle's settings ask for, over one batch of sources."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lowkey.decoding.beam import beam_search
from lowkey.decoding.decodable import Decodable, Hypothesis
from lowkey.decoding.greedy import greedy
from lowkey.decoding.length_penalty import length_penalty
from lowkey.decoding.rules import (
    Ban,
    EndAtLimit,
    MinLength,
    NoRepeatNgrams,
    Renormalize,
    RepetitionPenalty,
    Rule,
)
from lowkey.decoding.sampling import sample
from lowkey.nn.layout import SequenceLayout
from lowkey.pipelines.decoding import Decoding

# Tokens an output may have beyond what the longest pair of the training, in proportion, would.
_SLACK = 5


@dataclass(frozen=True)
class BatchSearch:
    """The search that is asked for, over one batch.

    Attributes:
        decoding: How sentences are decoded.
        begin_id: The token every output starts from.
        end_id: The token that ends one.
        layout: The sources.
        given: Tokens that each output is made to begin with.
        num_return: Outputs of each source.
    """

    decoding: Decoding
    begin_id: int
    end_id: int
    layout: SequenceLayout
    given: Sequence[Sequence[int]]
    num_return: int

    def run(self, start: Decodable, sentence_ids: Sequence[int]) -> list[list[Hypothesis]]:
        """Searches; whichever search it is, its scores are divided by the length penalty.

        Args:
            start: The batch to decode; it is used up.
            sentence_ids: The numbers that samples depend on.

        Returns:
            For each source its outputs: the best first, or samples as they were drawn.
        """
        decoding = self.decoding
        limits = self._limits()
        parts: dict[str, Any] = {
            "begin_id": self.begin_id,
            "end_id": self.end_id,
            "max_length": limits.to(start.device),
            "rules": self._rules(limits.to(start.device)),
            "prefixes": self.given if any(self.given) else None,
        }
        if decoding.num_beams > 1:
            return beam_search(
                start,
                num_beams=decoding.num_beams,
                length_penalty=decoding.length_penalty,
                length_penalty_kind=decoding.length_penalty_kind,
                early_stopping=decoding.early_stopping,
                num_return=self.num_return,
                **parts,
            )
        if not decoding.sample:
            found = [[one] for one in greedy(start, **parts)]
        else:
            found = sample(
                start,
                seed=decoding.seed,
                temperature=decoding.temperature,
                top_k=decoding.top_k,
                top_p=decoding.top_p,
                num_return=self.num_return,
                sentence_ids=sentence_ids,
                **parts,
            )
        return [
            [self._with_penalty(one, len(given)) for one in some]
            for some, given in zip(found, self.given, strict=True)
        ]

    def _limits(self) -> Tensor:
        """Bounds each output, so that one which never ends does not hold up its batch."""
        decoding = self.decoding
        ratio = math.inf if decoding.max_ratio is None else decoding.max_ratio
        by_source = (self.layout.lengths * ratio).ceil() + _SLACK
        room = torch.tensor([len(given) + 1 for given in self.given])
        return by_source.maximum(room).clamp(max=decoding.max_length).long()

    def _rules(self, limits: Tensor) -> list[Rule]:
        """Collects the rules in the order in which ``transformers`` applies them."""
        decoding, end_id = self.decoding, self.end_id
        rules: list[Rule] = []
        if decoding.repetition_penalty != 1:
            rules.append(RepetitionPenalty(decoding.repetition_penalty))
        if decoding.no_repeat_ngram_size:
            rules.append(NoRepeatNgrams(decoding.no_repeat_ngram_size))
        if decoding.banned_ids:
            rules.append(Ban(decoding.banned_ids))
        if decoding.min_length or decoding.min_ratio:
            by_source = (self.layout.lengths * decoding.min_ratio).ceil().long().to(limits.device)
            lengths = by_source.clamp(min=decoding.min_length).minimum(limits)
            rules.append(MinLength(lengths, end_id))
        if decoding.end_at_limit:
            rules.append(EndAtLimit(end_id))
        if decoding.renormalize:
            rules.append(Renormalize())
        return rules

    def _with_penalty(self, found: Hypothesis, given: int) -> Hypothesis:
        """Scores as a beam search would."""
        decoding = self.decoding
        length = max(1, len(found.token_ids) + found.finished - given)
        divisor = length_penalty(length, decoding.length_penalty, decoding.length_penalty_kind)
        return replace(found, score=found.score / divisor)
