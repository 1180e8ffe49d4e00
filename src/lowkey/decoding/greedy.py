"""Greedy search: the likeliest token at every step."""

import torch
from torch import Tensor

from lowkey.decoding.decodable import Decodable, Hypothesis, Prefixes


@torch.inference_mode()
def greedy(
    decodable: Decodable, *, begin_id: int, end_id: int, max_length: int | Tensor
) -> list[Hypothesis]:
    """Extends every sentence by its likeliest token until it ends.

    A sentence that is done leaves the batch. Of equally likely tokens the lowest id is
    taken. Where the logits hold NaN or plus infinity, or allow no token, the sentence stops
    unfinished with score minus infinity.

    Args:
        decodable: The batch to decode; it is used up.
        begin_id: The token every sentence starts from.
        end_id: The token that ends a sentence.
        max_length: Tokens a sentence may have, its end token included: one number, or one
            per sentence.

    Returns:
        One hypothesis a sentence, in the order of the batch.

    Raises:
        ValueError: If a limit is below 1, or there is not one limit per sentence.
    """
    live = Prefixes.begin(decodable, begin_id, max_length)
    results: dict[int, Hypothesis] = {}
    while len(live.sentences):
        logits = decodable.step(live.tokens[:, -1])
        tokens = logits.argmax(dim=1)
        gains = logits.gather(1, tokens[:, None]).squeeze(1) - logits.logsumexp(dim=1)
        dead = ~gains.isfinite()
        live = live.append(tokens, (live.sums + gains).masked_fill(dead, -torch.inf))
        ended = (tokens == end_id) & ~dead
        done = ended | dead | (live.limits == live.length)
        if not done.any():
            continue
        for row in done.nonzero().flatten().tolist():
            drop_last = bool(ended[row] | dead[row])
            token_ids = live.tokens[row, 1 : live.length + 1 - drop_last].tolist()
            hypothesis = Hypothesis(token_ids, float(live.sums[row]), bool(ended[row]))
            results[int(live.sentences[row])] = hypothesis
        rows = (~done).nonzero().flatten()
        if len(rows):
            decodable.reorder(rows)
        live = live.move(rows)
    return [results[sentence] for sentence in range(decodable.num_sentences)]
