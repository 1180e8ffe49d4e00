"""Greedy search: the likeliest token at every step."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lowkey.decoding.decodable import Decodable, Hypothesis
from lowkey.decoding.paths import follow
from lowkey.decoding.rules import Rule


@torch.inference_mode()
def greedy(
    decodable: Decodable,
    *,
    begin_id: int,
    end_id: int,
    max_length: int | Tensor,
    rules: Sequence[Rule] = (),
    prefixes: Sequence[Sequence[int]] | None = None,
) -> list[Hypothesis]:
    """Extends every sentence by its likeliest token until it ends.

    A sentence that is done leaves the batch. Of equally likely tokens the lowest id is
    taken. Where the logits hold NaN or plus infinity, or allow no token, the sentence stops
    unfinished with score minus infinity. The score is the sum of the model's own log
    probabilities, whatever the rules make of them.

    Args:
        decodable: The batch to decode; it is used up.
        begin_id: The token every sentence starts from.
        end_id: The token that ends a sentence.
        max_length: Tokens a sentence may have, its end token included: one number, or one
            per sentence.
        rules: What restricts the choice; see ``lowkey.decoding.rules``.
        prefixes: Tokens that each sentence is made to begin with, perhaps none.

    Returns:
        One hypothesis a sentence, in the order of the batch.

    Raises:
        ValueError: If a limit is below 1, or there is not one limit per sentence, or a prefix
            leaves no room.
    """
    found = follow(
        decodable,
        lambda _, scores: scores.argmax(dim=1),
        begin_id=begin_id,
        end_id=end_id,
        max_length=max_length,
        rules=rules,
        prefixes=prefixes,
    )
    return [hypothesis for (hypothesis,) in found]
