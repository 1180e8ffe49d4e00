"""Where each sentence lies in a flat batch of tokens.

There is no padding in this package except inside attention: a batch is one tensor
``(tokens, ...)`` holding all sentences end to end, and a ``SequenceLayout`` says where each begins.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor


class SequenceLayout:
    """The lengths of the sentences of a flat batch, and all that follows from them.

    Immutable: everything else is derived from ``lengths`` when first asked for.

    Args:
        lengths: Tokens in each sentence, at least 1.
        device: Where the batch, and so every index derived here, lives.

    Raises:
        ValueError: If there is no sentence, or an empty one.

    Example:
        >>> layout = SequenceLayout([2, 3])
        >>> layout.positions.tolist(), layout.sentence_ids.tolist()
        ([0, 1, 0, 1, 2], [0, 0, 1, 1, 1])
    """

    def __init__(self, lengths: Sequence[int] | Tensor, device: torch.device | str = "cpu"):
        # Lengths stay on the CPU: they decide shapes, and asking a GPU for them would stall it.
        self.lengths: Tensor = torch.as_tensor(lengths, dtype=torch.int64, device="cpu")
        if self.lengths.ndim != 1 or not len(self.lengths) or int(self.lengths.min()) < 1:
            raise ValueError(f"a layout needs sentences of at least one token, got {lengths}")
        self.device = torch.device(device)
        self.num_sentences = len(self.lengths)
        self.num_tokens = int(self.lengths.sum())
        self.max_length = int(self.lengths.max())
        # Attention keeps its groups here (see kernels.py), so that all layers share one plan.
        self.plans: dict[Any, Any] = {}

    @cached_property
    def starts(self) -> Int[Tensor, " sentences"]:
        """Row of the first token of each sentence."""
        return (self.lengths.cumsum(0) - self.lengths).to(self.device)

    @cached_property
    def sentence_ids(self) -> Int[Tensor, " tokens"]:
        """Sentence that each token belongs to."""
        return torch.arange(self.num_sentences).repeat_interleave(self.lengths).to(self.device)

    @cached_property
    def positions(self) -> Int[Tensor, " tokens"]:
        """Position of each token in its sentence, from 0."""
        return torch.arange(self.num_tokens, device=self.device) - self.starts[self.sentence_ids]

    def mask(self) -> Bool[Tensor, "sentences max_length"]:
        """Says which cells of the padded form hold a token."""
        return torch.arange(self.max_length, device=self.device) < self.lengths.to(
            self.device
        ).unsqueeze(1)

    def pad(
        self, x: Shaped[Tensor, "tokens *rest"], value: float = 0
    ) -> Shaped[Tensor, "sentences max_length *rest"]:
        """Lays each sentence in a row of its own, filled up to the longest.

        Args:
            x: One entry per token.
            value: What fills the cells that hold no token.

        Returns:
            One row per sentence.
        """
        padded = x.new_full((self.num_sentences, self.max_length, *x.shape[1:]), value)
        return padded.index_put((self.sentence_ids, self.positions), x)

    def unpad(
        self, padded: Shaped[Tensor, "sentences max_length *rest"]
    ) -> Shaped[Tensor, "tokens *rest"]:
        """Takes the tokens out of the padded form: the inverse of ``pad``.

        Args:
            padded: One row per sentence.

        Returns:
            One entry per token.
        """
        return padded[self.sentence_ids, self.positions]

    def select(self, sentences: Sequence[int] | Tensor) -> tuple[Tensor, "SequenceLayout"]:
        """Chooses sentences, in any order.

        Args:
            sentences: Indices of the sentences to keep.

        Returns:
            The rows their tokens stand in, and the layout of the batch made of those rows.
        """
        chosen = torch.as_tensor(sentences, dtype=torch.int64, device="cpu")
        layout = SequenceLayout(self.lengths[chosen], self.device)
        first = self.starts[chosen.to(self.device)]
        return first[layout.sentence_ids] + layout.positions, layout

    @staticmethod
    def from_padded(
        ids: Int[Tensor, "sentences length"],
        mask: Shaped[Tensor, "sentences length"] | None = None,
    ) -> tuple[Int[Tensor, " tokens"], "SequenceLayout"]:
        """Takes what other libraries give: padded ids and the mask of real tokens.

        Positions count from the first real token of a sentence, so padding on the left is
        no different from padding on the right.

        Args:
            ids: Padded token ids.
            mask: Non-zero where a token is real; all of them if None.

        Returns:
            The flat ids and their layout.

        Raises:
            ValueError: If a sentence has no real token.
        """
        real = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask.bool()
        return ids[real], SequenceLayout(real.sum(1), ids.device)
