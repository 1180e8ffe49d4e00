"""What a search needs of a model, what it hands back, and the state it moves."""

from dataclasses import dataclass, fields, replace
from typing import Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor


@runtime_checkable
class Decodable(Protocol):
    """A batch of sentences that a search extends token by token.

    Rows are sentence-major: the continuations of one sentence stand together. A fresh
    decodable has one row a sentence.

    Attributes:
        num_sentences: Sentences in the batch, finished ones included.
        vocab_size: Number of tokens a step chooses from.
    """

    num_sentences: int
    vocab_size: int

    @property
    def device(self) -> torch.device:
        """Where logits are made."""
        ...

    def step(self, tokens: Int[Tensor, " rows"]) -> Float[Tensor, "rows vocab"]:
        """Appends one token to each row and returns the logits (fp32) of the next.

        Args:
            tokens: The token to append; the begin token at the first call.

        Returns:
            One logit per token of the vocabulary.
        """
        ...

    def reorder(self, rows: Int[Tensor, " new_rows"]) -> None:
        """Makes new row ``i`` continue old row ``rows[i]``.

        Args:
            rows: Old rows; some may be missing (their work ends), some may come twice.
        """
        ...


@dataclass(frozen=True)
class Hypothesis:
    """One decoded sentence.

    Attributes:
        token_ids: The tokens, without the begin and the end token; a prefix that was given
            stands in front.
        score: Sum of log probabilities, the end token's included and those of a given prefix
            not; beam search divides it by its length penalty. Minus infinity where the model
            gave no probability.
        finished: Whether the model ended the sentence itself, within ``max_length``.
    """

    token_ids: list[int]
    score: float
    finished: bool


R = TypeVar("R", bound="Rows")


@dataclass(frozen=True)
class Rows:
    """A state whose every field has the row as its first axis: one function moves them all."""

    def move(self: R, rows: Int[Tensor, " new_rows"]) -> R:
        """Returns the state whose row ``i`` is row ``rows[i]`` of this one.

        Args:
            rows: The rows to keep, in their new order.

        Returns:
            The state of those rows.
        """
        parts = (getattr(self, field.name) for field in fields(self))
        moved = (part.move(rows) if isinstance(part, Rows) else part[rows] for part in parts)
        return type(self)(*moved)


@dataclass(frozen=True)
class Prefixes(Rows):
    """What a search extends, one row per prefix.

    Attributes:
        sentences: The sentence a row belongs to.
        tokens: The begin token and what was chosen since.
        sums: Sum of the log probabilities of the chosen tokens.
        limits: How many tokens the row's sentence may have, its end token included.
        given: How many tokens the row's sentence is made to begin with.
    """

    sentences: Int[Tensor, " rows"]
    tokens: Int[Tensor, "rows length"]
    sums: Float[Tensor, " rows"]
    limits: Int[Tensor, " rows"]
    given: Int[Tensor, " rows"]

    @classmethod
    def begin(
        cls,
        decodable: Decodable,
        begin_id: int,
        max_length: int | Tensor,
        given: Int[Tensor, " sentences"] | None = None,
    ) -> "Prefixes":
        """Returns one row a sentence that holds the begin token alone.

        Args:
            decodable: The batch to decode.
            begin_id: The token every sentence starts from.
            max_length: Tokens a sentence may have, its end token included: one number, or
                one per sentence.
            given: Tokens that each sentence is made to begin with; None: none.

        Returns:
            The state before the first step.

        Raises:
            ValueError: If a limit is below 1, or there is not one limit per sentence, or a
                sentence is given as many tokens as it may have.
        """
        num_sentences, device = decodable.num_sentences, decodable.device
        limits = torch.as_tensor(max_length, device=device)
        if limits.numel() and int(limits.min()) < 1:
            raise ValueError(f"max_length must be at least 1, not {int(limits.min())}")
        if limits.ndim and limits.shape != (num_sentences,):
            raise ValueError(f"{limits.numel()} values of max_length for {num_sentences} sentences")
        if given is None:
            given = torch.zeros(num_sentences, dtype=torch.long, device=device)
        limits = limits.expand(num_sentences)
        if bool((given >= limits).any()):
            raise ValueError("a prefix must be shorter than max_length")
        return cls(
            sentences=torch.arange(num_sentences, device=device),
            tokens=torch.full((num_sentences, 1), begin_id, device=device),
            sums=torch.zeros(num_sentences, device=device),
            limits=limits,
            given=given,
        )

    @property
    def length(self) -> int:
        """How many tokens have been chosen."""
        return self.tokens.shape[1] - 1

    def append(self, tokens: Int[Tensor, " rows"], sums: Float[Tensor, " rows"]) -> "Prefixes":
        """Returns the state after one more token a row.

        Args:
            tokens: The chosen tokens.
            sums: The sums of log probabilities with them.

        Returns:
            The longer state.
        """
        longer = torch.cat([self.tokens, tokens[:, None]], dim=1)
        return replace(self, tokens=longer, sums=sums)


def log_probabilities(logits: Float[Tensor, "rows vocab"]) -> Float[Tensor, "rows vocab"]:
    """Turns logits into log probabilities; a row with NaN or plus infinity allows nothing.

    Args:
        logits: One logit per token.

    Returns:
        Their log-softmax, minus infinity where that is undefined.
    """
    log_probs = logits.log_softmax(dim=1)
    return log_probs.masked_fill(log_probs.isnan(), -torch.inf)
