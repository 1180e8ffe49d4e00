"""Keys and values kept while decoding, so that a step costs one token and not the whole prefix.

The only place that reorders them. Rows are hypotheses, sentence by sentence, each sentence with
the same number of them.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lowkey.nn.layout import SequenceLayout


class SelfAttentionCache:
    """What the tokens generated so far answer with; grows by one position a step."""

    def __init__(self) -> None:
        self._keys: Tensor | None = None
        self._values: Tensor | None = None
        self.length = 0

    def append(
        self, k: Float[Tensor, "rows heads d_head"], v: Float[Tensor, "rows heads d_head"]
    ) -> None:
        """Adds the newest token of every row.

        Args:
            k: Its keys.
            v: Its values.
        """
        if self._keys is None or self._values is None:
            shape = (k.shape[0], k.shape[1], 16, k.shape[2])
            self._keys, self._values = k.new_empty(shape), v.new_empty(shape)
        elif self.length == self._keys.shape[2]:
            # Doubling keeps the cost of growing linear in the length.
            self._keys = torch.cat([self._keys, torch.empty_like(self._keys)], 2)
            self._values = torch.cat([self._values, torch.empty_like(self._values)], 2)
        self._keys[:, :, self.length] = k
        self._values[:, :, self.length] = v
        self.length += 1

    def attend(self, q: Float[Tensor, "rows heads d_head"]) -> Float[Tensor, "rows heads d_head"]:
        """Lets the newest token of every row look at all tokens of its row.

        Args:
            q: Its queries.

        Returns:
            The mixtures of values.

        Raises:
            RuntimeError: If nothing was appended yet.
        """
        if self._keys is None or self._values is None:
            raise RuntimeError("append the newest token before it attends")
        keys, values = self._keys[:, :, : self.length], self._values[:, :, : self.length]
        return _attend(q.unsqueeze(2), keys, values, None).squeeze(2)

    def reorder(self, rows: Int[Tensor, " new_rows"]) -> None:
        """Makes new row i continue old row ``rows[i]``.

        Args:
            rows: Old rows, in their new order.
        """
        if self._keys is not None and self._values is not None:
            self._keys = self._keys.index_select(0, rows)
            self._values = self._values.index_select(0, rows)


class CrossAttentionCache:
    """What the encoded source answers with: computed once, shared by the rows of a sentence.

    Args:
        k: Keys of the memory, heads side by side.
        v: Its values.
        layout: Sentences of the memory.
        num_heads: Number of heads.
    """

    def __init__(
        self,
        k: Float[Tensor, "tokens d_model"],
        v: Float[Tensor, "tokens d_model"],
        layout: SequenceLayout,
        num_heads: int,
    ):
        padded = (layout.pad(x).unflatten(-1, (num_heads, -1)).transpose(1, 2) for x in (k, v))
        self._keys, self._values = (x.contiguous() for x in padded)
        hidden = ~layout.mask()
        bias = torch.zeros(hidden.shape, dtype=k.dtype, device=k.device)
        self._bias = bias.masked_fill_(hidden, float("-inf"))[:, None, None, :]

    def attend(self, q: Float[Tensor, "rows heads d_head"]) -> Float[Tensor, "rows heads d_head"]:
        """Lets the newest token of every row look at the source of its sentence.

        Args:
            q: Its queries.

        Returns:
            The mixtures of values.
        """
        # The rows of a sentence become the queries of one product, so nothing is copied per beam.
        by_sentence = q.unflatten(0, (self._keys.shape[0], -1)).transpose(1, 2)
        return (
            _attend(by_sentence, self._keys, self._values, self._bias).transpose(1, 2).flatten(0, 1)
        )

    def reorder(self, sentences: Int[Tensor, " new_sentences"]) -> None:
        """Keeps the sentences that are still decoded.

        Args:
            sentences: Old sentences, in their new order.
        """
        if len(sentences) == len(self._keys) and bool(
            (sentences == torch.arange(len(sentences), device=sentences.device)).all()
        ):
            return
        self._keys = self._keys.index_select(0, sentences)
        self._values = self._values.index_select(0, sentences)
        self._bias = self._bias.index_select(0, sentences)


AttentionCache = SelfAttentionCache | CrossAttentionCache


def _attend(
    q: Float[Tensor, "batch heads queries d_head"],
    k: Float[Tensor, "batch heads keys d_head"],
    v: Float[Tensor, "batch heads keys d_head"],
    bias: Tensor | None,
) -> Float[Tensor, "batch heads queries d_head"]:
    """Attends with plain products: without training there is nothing to keep or to drop."""
    scores = (q @ k.transpose(-2, -1)).mul_(q.shape[-1] ** -0.5)
    if bias is not None:
        scores = scores + bias
    return scores.softmax(dim=-1) @ v
