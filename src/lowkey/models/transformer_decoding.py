"""A Transformer that writes: one batch, token by token, over its caches."""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lowkey.nn.blocks import BlockCache, DecoderBlock
from lowkey.nn.layout import SequenceLayout

if TYPE_CHECKING:
    from lowkey.models.transformer import Transformer


class TransformerDecoding:
    """A batch being decoded: implements ``lowkey.decoding.decodable.Decodable``.

    Rows are hypotheses, sentence by sentence, equally many for each.

    Args:
        model: The model, in evaluation mode.
        source_ids: Source tokens.
        source_layout: Their sentences.
    """

    device: torch.device

    def __init__(self, model: "Transformer", source_ids: Tensor, source_layout: SequenceLayout):
        self.model = model
        self.num_sentences = source_layout.num_sentences
        self.vocab_size = model.config.target_vocab_size
        self.device = source_ids.device
        memory = model.encode(source_ids, source_layout)
        self._caches: list[BlockCache] = [
            block.cache(memory, source_layout)
            for block in model.decoder_blocks
            if isinstance(block, DecoderBlock)
        ]
        # What is live: sentences leave when they are done, and rows multiply with the beams.
        self._live_rows = self._live_sentences = self.num_sentences

    def step(self, tokens: Int[Tensor, " rows"]) -> Float[Tensor, "rows vocab"]:
        """Appends one token to every row.

        Args:
            tokens: The newest token of each row; the begin token at first.

        Returns:
            Logits of the next token, in fp32.
        """
        length = self._caches[0].itself.length
        positions = torch.full_like(tokens, length)
        layout = SequenceLayout(torch.ones(len(tokens), dtype=torch.int64), self.device)
        x = self.model.target_embeddings(tokens, positions, length + 1)
        for block, cache in zip(self.model.decoder_blocks, self._caches, strict=True):
            x = block.step(x, layout, cache)  # type: ignore[operator] # ModuleList forgets types
        return self.model.logits(self.model.decoder_norm(x)).float()

    def reorder(self, rows: Int[Tensor, " new_rows"]) -> None:
        """Makes new row i continue old row ``rows[i]``; may drop sentences or multiply rows.

        Args:
            rows: Old rows, in their new order, the rows of a sentence side by side.
        """
        same = torch.arange(self._live_rows, device=rows.device)
        if torch.equal(rows, same):
            return  # asked once here, not by every cache
        parents = rows // (self._live_rows // self._live_sentences)
        sentences = torch.unique_consecutive(parents)
        for cache in self._caches:
            cache.itself.reorder(rows)
            cache.memory.reorder(sentences)
        self._live_rows, self._live_sentences = len(rows), len(sentences)
