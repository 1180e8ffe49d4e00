"""What a search needs of a model, what it hands back, and the state it moves."""

from dataclasses import dataclass, fields
from typing import Protocol, runtime_checkable

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
        token_ids: The tokens, without the begin and the end token.
        score: Sum of log probabilities, the end token's included; beam search divides it
            by its length penalty. Minus infinity where the model gave no probability.
        finished: Whether the model ended the sentence itself, within ``max_length``.
    """

    token_ids: list[int]
    score: float
    finished: bool


@dataclass(frozen=True)
class Prefixes:
    """The whole state of a search, one row per live prefix.

    Every field has the row as its first axis, so that one function moves them all.

    Attributes:
        sentences: The sentence a row belongs to.
        tokens: The begin token and what was chosen since.
        sums: Sum of the log probabilities of the chosen tokens.
        limits: How many tokens the row's sentence may have, its end token included.
    """

    sentences: Int[Tensor, " rows"]
    tokens: Int[Tensor, "rows length"]
    sums: Float[Tensor, " rows"]
    limits: Int[Tensor, " rows"]

    @classmethod
    def begin(cls, decodable: Decodable, begin_id: int, max_length: int | Tensor) -> "Prefixes":
        """Returns one row a sentence that holds the begin token alone.

        Args:
            decodable: The batch to decode.
            begin_id: The token every sentence starts from.
            max_length: Tokens a sentence may have, its end token included: one number, or
                one per sentence.

        Returns:
            The state before the first step.

        Raises:
            ValueError: If a limit is below 1, or there is not one limit per sentence.
        """
        num_sentences, device = decodable.num_sentences, decodable.device
        limits = torch.as_tensor(max_length, device=device)
        if limits.numel() and int(limits.min()) < 1:
            raise ValueError(f"max_length must be at least 1, not {int(limits.min())}")
        if limits.ndim and limits.shape != (num_sentences,):
            raise ValueError(f"{limits.numel()} values of max_length for {num_sentences} sentences")
        return cls(
            sentences=torch.arange(num_sentences, device=device),
            tokens=torch.full((num_sentences, 1), begin_id, device=device),
            sums=torch.zeros(num_sentences, device=device),
            limits=limits.expand(num_sentences),
        )

    @property
    def length(self) -> int:
        """How many tokens have been chosen."""
        return self.tokens.shape[1] - 1

    def move(self, rows: Int[Tensor, " new_rows"]) -> "Prefixes":
        """Returns the state whose row ``i`` is row ``rows[i]`` of this one.

        Args:
            rows: The rows to keep, in their new order.

        Returns:
            The state of those rows.
        """
        return Prefixes(*(getattr(self, field.name)[rows] for field in fields(self)))

    def append(self, tokens: Int[Tensor, " rows"], sums: Float[Tensor, " rows"]) -> "Prefixes":
        """Returns the state after one more token a row.

        Args:
            tokens: The chosen tokens.
            sums: The sums of log probabilities with them.

        Returns:
            The longer state.
        """
        longer = torch.cat([self.tokens, tokens[:, None]], dim=1)
        return Prefixes(self.sentences, longer, sums, self.limits)
