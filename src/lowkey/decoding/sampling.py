"""Sampling: the next token is drawn from the model's distribution, or from its head."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lowkey import runtime
from lowkey.decoding.decodable import Decodable, Hypothesis, Prefixes
from lowkey.decoding.paths import follow
from lowkey.decoding.rules import Rule


@torch.inference_mode()
def sample(
    decodable: Decodable,
    *,
    begin_id: int,
    end_id: int,
    max_length: int | Tensor,
    seed: int,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    num_return: int = 1,
    sentence_ids: Sequence[int] | None = None,
    rules: Sequence[Rule] = (),
    prefixes: Sequence[Sequence[int]] | None = None,
) -> list[list[Hypothesis]]:
    r"""Draws continuations of every sentence, whatever its batch mates.

    A token of logit :math:`z_i` is drawn with probability

    .. math:: p_i \propto \exp(z_i / T)

    among the ``top_k`` likeliest tokens, and among those in the smallest set of the likeliest
    that holds at least ``top_p`` of the probability. Each draw of a sentence has its own
    generator, a function of the seed, the sentence's number and the draw's; one uniform number
    a step picks the token from the cumulative distribution. So a draw depends neither on the
    batch nor on how many draws there are.

    Args:
        decodable: The batch to decode; it is used up.
        begin_id: The token every sentence starts from.
        end_id: The token that ends a sentence.
        max_length: Tokens a sentence may have, its end token included: one number, or one
            per sentence.
        seed: Where the randomness comes from.
        temperature: Divides the logits; above 0. Below 1 it favours likely tokens.
        top_k: How many tokens a step may choose from; 0 is all.
        top_p: The share of the probability a step chooses from, above 0 and at most 1.
        num_return: Draws of each sentence.
        sentence_ids: The number of each sentence; None counts them from 0.
        rules: What restricts the choice; see ``lowkey.decoding.rules``.
        prefixes: Tokens that each sentence is made to begin with, perhaps none.

    Returns:
        For each sentence its draws, in the order they were drawn. The score is the sum of the
        model's own log probabilities, at temperature 1 and before anything is cut off.

    Raises:
        ValueError: If a number is out of its range, or there is not one limit or number per
            sentence, or a prefix leaves no room.

    References:
        Fan et al., "Hierarchical Neural Story Generation", 2018, arXiv:1805.04833 (top-k);
        Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020, arXiv:1904.09751,
        section 3.1 (nucleus: top-p).
    """
    if not (temperature > 0 and top_k >= 0 and 0 < top_p <= 1 and num_return >= 1):
        raise ValueError(
            f"temperature={temperature} must be above 0, top_k={top_k} at least 0, top_p={top_p}"
            f" above 0 and at most 1, num_return={num_return} at least 1"
        )
    ids = range(decodable.num_sentences) if sentence_ids is None else sentence_ids
    if len(ids) != decodable.num_sentences:
        raise ValueError(f"{len(ids)} sentence_ids for {decodable.num_sentences} sentences")
    limits = torch.as_tensor(max_length).expand(decodable.num_sentences).tolist()
    noise = _noise(seed, ids, limits, num_return).to(decodable.device)

    def choose(live: Prefixes, scores: Tensor) -> Tensor:
        draws = torch.arange(len(scores), device=scores.device) % num_return
        kept = keep_top_p(keep_top_k(scores / temperature, top_k), top_p)
        return draw(kept, noise[live.sentences, draws, live.length])

    return follow(
        decodable,
        choose,
        begin_id=begin_id,
        end_id=end_id,
        max_length=max_length,
        rules=rules,
        prefixes=prefixes,
        num_paths=num_return,
    )


def keep_top_k(logits: Float[Tensor, "rows vocab"], k: int) -> Float[Tensor, "rows vocab"]:
    """Forbids all but the largest logits; of equals at the edge all stay.

    Args:
        logits: One logit per token.
        k: How many to keep; 0 is all.

    Returns:
        The logits, minus infinity where a token is forbidden.
    """
    if not 0 < k < logits.shape[1]:
        return logits
    least = logits.topk(k, dim=1).values[:, -1:]
    return logits.masked_fill(logits < least, -torch.inf)


def keep_top_p(logits: Float[Tensor, "rows vocab"], p: float) -> Float[Tensor, "rows vocab"]:
    """Forbids all tokens but the smallest set of the likeliest that holds a share of probability.

    Args:
        logits: One logit per token.
        p: The share, above 0 and at most 1; at least one token stays.

    Returns:
        The logits, minus infinity where a token is forbidden.
    """
    if p == 1:
        return logits
    ordered, tokens = logits.sort(dim=1)
    # From the unlikeliest up: what together has no more than the rest of the share goes.
    out = ordered.softmax(dim=1).cumsum(dim=1) <= 1 - p
    out[:, -1] = False
    return logits.masked_fill(torch.zeros_like(out).scatter(1, tokens, out), -torch.inf)


def draw(
    logits: Float[Tensor, "rows vocab"], uniform: Float[Tensor, " rows"]
) -> Int[Tensor, " rows"]:
    """Draws a token for each row by inverting its cumulative distribution.

    Args:
        logits: One logit per token.
        uniform: A number from [0, 1) for each row.

    Returns:
        The tokens; one that has no probability is never drawn from a row that has any.
    """
    # In double precision: in single, the sum over a vocabulary would be off by many rare tokens.
    upto = logits.double().softmax(dim=1).cumsum(dim=1)
    target = uniform[:, None] * upto[:, -1:]
    return torch.searchsorted(upto, target, right=True).squeeze(1).clamp(max=logits.shape[1] - 1)


def _noise(
    seed: int, sentence_ids: Sequence[int], limits: Sequence[int], num_draws: int
) -> Float[Tensor, "sentences draws steps"]:
    """Draws one uniform number for each sentence, draw and step, before the search begins."""
    noise = torch.zeros(len(sentence_ids), num_draws, max(limits, default=0), dtype=torch.float64)
    for i, (sentence, limit) in enumerate(zip(sentence_ids, limits, strict=True)):
        for j in range(num_draws):
            generator = runtime.generator(seed, "sample", sentence, j)
            noise[i, j, :limit] = torch.rand(limit, dtype=torch.float64, generator=generator)
    # A number next to 1 times the whole could be rounded up to the whole, behind the last token.
    return noise.clamp_(max=1 - 2**-40)
