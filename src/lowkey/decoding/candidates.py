"""The extensions that a beam search looks at in one step."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lowkey.decoding.decodable import Prefixes


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


def extend(
    live: Prefixes, log_probs: Float[Tensor, "rows vocab"], width: int, num_beams: int
) -> Candidates:
    """Returns the best extensions of each sentence, twice as many as beams.

    At most one extension of a row ends it, so at least ``num_beams`` of them live on.

    Args:
        live: The prefixes.
        log_probs: Log probabilities of their next tokens.
        width: Prefixes of each sentence.
        num_beams: Prefixes that a sentence may have.

    Returns:
        The best extensions of each sentence.
    """
    gains, tokens = _top(log_probs, min(2 * num_beams, log_probs.shape[1]))
    sums = live.sums[:, None] + gains
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
    # Which of the impossible ones are picked does not matter.
    split = ((logits >= values[:, -1:]).sum(dim=1) > count) & values[:, -1].isfinite()
    if split.any():
        whole = logits[split].sort(dim=1, descending=True, stable=True)
        values[split], tokens[split] = whole.values[:, :count], whole.indices[:, :count]
    return values, tokens
