"""From token ids to vectors: the Transformer's scaled embeddings and BERT's summed ones.

``compute_dtype`` decides the precision in which a model computes: embeddings produce it and every
module after them follows its input.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from lowkey.nn.dropout import Dropout
from lowkey.nn.linear import Embedding, LayerNorm, Linear, normal_
from lowkey.nn.positions import LearnedPositions, SinusoidalPositions


class TransformerEmbeddings(nn.Module):
    r"""Token embeddings times :math:`\sqrt{d_\text{model}}`, plus positions, then dropout.

    The table starts with a standard deviation of :math:`1 / \sqrt{d_\text{model}}`, so that the
    same table can serve as output projection. Unscaled, such a vector has length 1 beside a
    positional encoding of length :math:`\sqrt{d_\text{model} / 2}`; the factor brings token and
    position to the same size.

    Args:
        token: The table; shared where source, target or output are tied.
        positions: "sinusoidal" or "learned"; "rotary" adds nothing here, attention turns instead.
        max_positions: Longest sentence that learned positions can number.
        dropout: Probability that one feature is dropped in training.
        scaled: Whether token embeddings are multiplied by the root of the width.
        sinusoids: Order of sinusoidal features; see ``sinusoidal_table``.

    References:
        Vaswani et al., "Attention Is All You Need", 2017, sections 3.4, 3.5 and 5.4.
    """

    def __init__(
        self,
        token: nn.Embedding,
        positions: str,
        max_positions: int,
        dropout: float,
        *,
        scaled: bool = True,
        sinusoids: str = "interleaved",
    ):
        super().__init__()
        d_model = token.embedding_dim
        self.token = token
        self.position: nn.Module | None = None
        if positions == "sinusoidal":
            self.position = SinusoidalPositions(d_model, sinusoids)
        elif positions == "learned":
            self.position = LearnedPositions(max_positions, d_model)
            # As long as a sinusoidal encoding, so that both kinds start from the same balance.
            normal_(self.position.weight, math.sqrt(0.5))
        self.scale = math.sqrt(d_model) if scaled else 1.0
        self.dropout = Dropout(dropout)
        self.compute_dtype = torch.float32

    def forward(
        self,
        ids: Int[Tensor, " tokens"],
        positions: Int[Tensor, " tokens"],
        num_positions: int | None = None,
    ) -> Float[Tensor, "tokens d_model"]:
        """Embeds tokens.

        Args:
            ids: Token ids.
            positions: Position of each token in its sentence.
            num_positions: More than the largest position; None asks them, which stalls a GPU.

        Returns:
            One row per token.
        """
        embedded = self.token(ids) * self.scale
        if isinstance(self.position, SinusoidalPositions):
            embedded = embedded + self.position(positions, num_positions)
        elif self.position is not None:
            embedded = embedded + self.position(positions)
        return self.dropout(embedded.to(self.compute_dtype))


class EncoderEmbeddings(nn.Module):
    """BERT's embeddings: token plus position plus segment, normalised, then dropout.

    Args:
        vocab_size: Number of tokens.
        d_model: Width, in features.
        max_positions: Longest sentence, in tokens; 0: no position is added.
        num_segments: Number of segments (the texts of a pair); 0: none is added.
        norm_eps: What layer normalisation adds to the variance.
        dropout: Probability that one feature is dropped in training.
        width: Width of the tables, which a linear map then follows; None: ``d_model``, and none.
        position_offset: Row of the position table for the first token.
        bias: Whether the normalisation has a bias.

    References:
        Devlin et al., "BERT", 2019, section 3 and figure 2.
        Lan et al., "ALBERT", 2019, section 3.1 (narrower embeddings and their projection).
    """

    def __init__(
        self,
        vocab_size: int,
        d_model: int,
        max_positions: int,
        num_segments: int,
        norm_eps: float,
        dropout: float,
        *,
        width: int | None = None,
        position_offset: int = 0,
        bias: bool = True,
    ):
        super().__init__()
        features = width or d_model
        self.position_offset = position_offset
        self.token = Embedding(vocab_size, features)
        self.position = None
        if max_positions:
            self.position = LearnedPositions(max_positions + position_offset, features)
        self.segment = Embedding(num_segments, features) if num_segments else None
        self.norm = LayerNorm(features, eps=norm_eps, bias=bias)
        self.dropout = Dropout(dropout)
        self.projection = None if width is None else Linear(features, d_model)
        self.compute_dtype = torch.float32

    def forward(
        self,
        ids: Int[Tensor, " tokens"],
        positions: Int[Tensor, " tokens"],
        segment_ids: Int[Tensor, " tokens"] | None = None,
    ) -> Float[Tensor, "tokens d_model"]:
        """Embeds tokens.

        Args:
            ids: Token ids.
            positions: Position of each token in its sentence.
            segment_ids: Segment of each token; the first one if None.

        Returns:
            One row per token.
        """
        embedded = self.token(ids)
        if self.position is not None:
            embedded = embedded + self.position(positions + self.position_offset)
        if self.segment is not None:
            segments = torch.zeros_like(ids) if segment_ids is None else segment_ids
            embedded = embedded + self.segment(segments)
        hidden = self.dropout(self.norm(embedded.to(self.compute_dtype)))
        return hidden if self.projection is None else self.projection(hidden)


def tied_logits(
    x: Float[Tensor, "tokens d_model"], embedding: nn.Embedding
) -> Float[Tensor, "tokens vocab"]:
    """Scores every token of the vocabulary with the embedding table itself (Press & Wolf, 2017).

    Args:
        x: Last hidden states.
        embedding: The table.

    Returns:
        Logits, in the precision of ``x``.
    """
    return F.linear(x, embedding.weight.to(x.dtype))
