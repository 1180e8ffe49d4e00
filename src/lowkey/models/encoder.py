"""A BERT-family encoder, built from the same blocks as the Transformer (Devlin et al., 2019)."""

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from lowkey.models.config import EncoderConfig
from lowkey.nn.blocks import BlockShape, EncoderBlock
from lowkey.nn.embeddings import EncoderEmbeddings
from lowkey.nn.layout import SequenceLayout
from lowkey.nn.linear import LayerNorm, Linear, normal_
from lowkey.nn.pooling import summarise
from lowkey.nn.positions import RelativeBias


class Pooler(nn.Module):
    """BERT's summary of a sentence: tanh of a linear map of its first token.

    Args:
        d_model: Width, in features.
    """

    def __init__(self, d_model: int):
        super().__init__()
        self.dense = Linear(d_model, d_model)

    def forward(
        self, hidden: Float[Tensor, "tokens d_model"], layout: SequenceLayout
    ) -> Float[Tensor, "sentences d_model"]:
        """Summarises each sentence.

        Args:
            hidden: Last hidden states.
            layout: Their sentences.

        Returns:
            One row per sentence.
        """
        return self.dense(hidden[layout.starts]).tanh()


class Encoder(nn.Module):
    """Embeddings, then blocks of self-attention and feed-forward; a pooler beside them.

    A new encoder starts as BERT did: weights from a normal distribution of standard deviation 0.02,
    biases 0.

    Args:
        config: Sizes and rates.
        kernel: How attention is computed (see ``lowkey.nn.kernels``).

    References:
        Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language
        Understanding", 2019, arXiv:1810.04805.
        Lan et al., "ALBERT: A Lite BERT for Self-supervised Learning of Language Representations",
        2019, section 3.1 (one block for all layers).

    Example:
        >>> config = EncoderConfig(vocab_size=9, d_model=4, num_layers=1, num_heads=2, d_ff=8)
        >>> encoder = Encoder(config).eval()
        >>> encoder(torch.tensor([1, 2, 3, 4, 5]), SequenceLayout([2, 3])).shape
        torch.Size([5, 4])
    """

    def __init__(self, config: EncoderConfig, *, kernel: str = "auto"):
        super().__init__()
        self.config = config
        self.embeddings = EncoderEmbeddings(
            config.vocab_size,
            config.d_model,
            config.max_positions if config.positions == "learned" else 0,
            config.num_segments,
            config.norm_eps,
            config.dropout,
            width=config.embedding_size,
            position_offset=config.position_offset,
            bias=config.bias,
        )
        self.blocks = nn.ModuleList(
            EncoderBlock(_shape(config, block, kernel)) for block in range(config.num_blocks)
        )
        self.norm = None
        if config.norm == "pre":
            self.norm = LayerNorm(config.d_model, eps=config.norm_eps, bias=config.bias)
            # What comes out of the embeddings is normalised already.
            self.blocks[0].attention_norm = nn.Identity()
        self.relative_bias = None
        if config.relative_buckets:
            self.relative_bias = RelativeBias(config.relative_buckets, config.num_heads)
        self.pooler = Pooler(config.d_model) if config.pooler else None
        self.apply(initialise_as_bert)

    def compute_in(self, dtype: torch.dtype) -> "Encoder":
        """Chooses the precision of the activations; the weights stay in theirs.

        Args:
            dtype: torch.float32 or torch.bfloat16.

        Returns:
            The encoder itself.
        """
        self.embeddings.compute_dtype = dtype
        return self

    def forward(
        self,
        input_ids: Int[Tensor, "*batch length"],
        layout: SequenceLayout | Shaped[Tensor, "*batch length"] | None = None,
        segment_ids: Int[Tensor, "*batch length"] | None = None,
    ) -> Float[Tensor, "*batch length d_model"]:
        """Computes the last hidden states.

        Args:
            input_ids: Flat token ids with ``layout``; or, as other libraries have them, padded ids
                (sentences, length) with an attention mask in its place.
            layout: The sentences; for padded ids the mask of real tokens, or None for no padding.
            segment_ids: Segment of each token; the first one if None.

        Returns:
            One vector per token; for padded ids zeros where there is no token.

        Raises:
            TypeError: If flat ids come without a layout.
        """
        if not isinstance(layout, SequenceLayout):
            return self._forward_padded(input_ids, layout, segment_ids)
        hidden = self.embeddings(input_ids, layout.positions, segment_ids)
        relative = self.relative_bias
        bias = None if relative is None else relative(layout.max_length)
        for layer in range(self.config.num_layers):
            hidden = self.blocks[layer % len(self.blocks)](hidden, layout, bias)
        return hidden if self.norm is None else self.norm(hidden)

    def _forward_padded(
        self, input_ids: Tensor, mask: Tensor | None, segment_ids: Tensor | None
    ) -> Tensor:
        """Converts padded ids at the door and the hidden states back."""
        if input_ids.ndim != 2:
            raise TypeError("flat input_ids need a SequenceLayout")
        real = torch.ones_like(input_ids, dtype=torch.bool) if mask is None else mask.bool()
        flat, layout = SequenceLayout.from_padded(input_ids, real)
        hidden = self(flat, layout, None if segment_ids is None else segment_ids[real])
        padded = hidden.new_zeros(*input_ids.shape, hidden.shape[-1])
        return padded.index_put((real,), hidden)

    def pool(
        self, hidden: Float[Tensor, "tokens d_model"], layout: SequenceLayout
    ) -> Float[Tensor, "sentences d_model"]:
        """Summarises each sentence: by the pooler, by its first token, or by the mean of all.

        Args:
            hidden: Last hidden states.
            layout: Their sentences.

        Returns:
            One row per sentence; in fp32 where there is no pooler, for the heads compute in it.
        """
        if self.pooler is not None:
            return self.pooler(hidden, layout)
        return summarise(hidden, layout, self.config.pooling)


def _shape(config: EncoderConfig, block: int, kernel: str) -> BlockShape:
    """Reads the shape of one block off the sizes: a global one, or one that looks nearby."""
    is_global = block % config.global_every == 0
    return BlockShape(
        d_model=config.d_model,
        num_heads=config.num_heads,
        d_ff=config.d_ff,
        activation=config.activation,
        gated=config.gated,
        bias=config.bias,
        rotary=config.positions == "rotary",
        rotary_base=config.rotary_base if is_global else config.local_rotary_base,
        rotary_pairs="halves",
        window=None if is_global else config.local_window,
        dropout=config.dropout,
        attention_dropout=config.attention_dropout,
        norm_eps=config.norm_eps,
        pre_norm=config.norm == "pre",
        kernel=kernel,
    )


def initialise_as_bert(module: nn.Module) -> None:
    """Draws the weights of one module as BERT does.

    Args:
        module: Any module; only linear maps and tables are touched.
    """
    if isinstance(module, nn.Linear | nn.Embedding):
        normal_(module.weight, 0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
