"""The encoder-decoder Transformer of "Attention Is All You Need" (Vaswani et al., 2017)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lowkey.models.config import TransformerConfig
from lowkey.models.transformer_decoding import TransformerDecoding
from lowkey.nn.blocks import BlockShape, DecoderBlock, EncoderBlock
from lowkey.nn.embeddings import TransformerEmbeddings, tied_logits
from lowkey.nn.layout import SequenceLayout
from lowkey.nn.linear import Embedding, LayerNorm, Linear, normal_


class Transformer(nn.Module):
    r"""Reads a source sentence and writes a target sentence, token by token.

    A new model starts as follows: linear weights are drawn uniformly within
    :math:`\pm\sqrt{6 / (n_\text{in} + n_\text{out})}` (Glorot & Bengio, 2010, equation 16), biases
    are 0; token tables are normal with a standard deviation of :math:`1 / \sqrt{d_\text{model}}`,
    learned positions with one of :math:`\sqrt{1/2}`. The paper does not say; tensor2tensor, the
    code published with it, draws linear weights and token tables like this, and fairseq the tables.

    Args:
        config: Sizes and rates.
        kernel: How attention is computed (see ``lowkey.nn.kernels``).

    References:
        Vaswani et al., "Attention Is All You Need", 2017, arXiv:1706.03762.
        Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural
        networks", 2010, AISTATS.

    Example:
        >>> config = TransformerConfig(
        ...     source_vocab_size=9, target_vocab_size=7, d_model=4, num_heads=2, d_ff=8,
        ...     num_encoder_layers=1, num_decoder_layers=1)
        >>> model = Transformer(config).eval()
        >>> source, target = SequenceLayout([2, 1]), SequenceLayout([1, 3])
        >>> model(torch.tensor([1, 2, 3]), source, torch.tensor([1, 1, 4, 5]), target).shape
        torch.Size([4, 7])
    """

    # What one row is to the maps of each part, by the first parts of their names.
    row_kinds: ClassVar[Mapping[str, str]] = {
        "source_embeddings": "source",
        "encoder_blocks": "source",
        "target_embeddings": "target",
        "decoder_blocks": "target",
        "decoder_blocks.{}.cross_attention.key": "source",
        "decoder_blocks.{}.cross_attention.value": "source",
        "output": "target",
    }

    def __init__(self, config: TransformerConfig, *, kernel: str = "auto"):
        super().__init__()
        self.config = config
        encoder_shape, decoder_shape = _shapes(config, kernel)
        target = Embedding(config.target_vocab_size, config.d_model)
        target.tied = config.tie_embeddings or config.share_embeddings
        source = target
        if not config.share_embeddings:
            source = Embedding(config.source_vocab_size, config.d_model)
        self.source_embeddings = _embeddings(source, config)
        self.target_embeddings = _embeddings(target, config)
        self.encoder_blocks = nn.ModuleList(
            EncoderBlock(encoder_shape) for _ in range(config.num_encoder_layers)
        )
        self.decoder_blocks = nn.ModuleList(
            DecoderBlock(decoder_shape) for _ in range(config.num_decoder_layers)
        )
        # Pre-norm leaves the last residual sum unnormalised; post-norm has nothing left to do.
        pre_norm = config.norm == "pre"
        self.encoder_norm = LayerNorm(config.d_model) if pre_norm else nn.Identity()
        self.decoder_norm = LayerNorm(config.d_model) if pre_norm else nn.Identity()
        self.output = None
        if not config.tie_embeddings:
            self.output = Linear(config.d_model, config.target_vocab_size, bias=False)
        # Marian's checkpoints have one; it starts at zero, where it changes nothing.
        self.output_bias = None
        if config.output_bias:
            self.output_bias = nn.Parameter(torch.zeros(config.target_vocab_size))
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear) and not module.weight.is_meta:
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for embeddings in (self.source_embeddings, self.target_embeddings):
            normal_(embeddings.token.weight, self.config.d_model**-0.5)

    def compute_in(self, dtype: torch.dtype) -> "Transformer":
        """Chooses the precision of the activations; the weights stay in theirs.

        Args:
            dtype: torch.float32 or torch.bfloat16.

        Returns:
            The model itself.
        """
        self.source_embeddings.compute_dtype = dtype
        self.target_embeddings.compute_dtype = dtype
        return self

    def encode(
        self, source_ids: Int[Tensor, " tokens"], source_layout: SequenceLayout
    ) -> Float[Tensor, "tokens d_model"]:
        """Reads the source.

        Args:
            source_ids: Source tokens.
            source_layout: Their sentences.

        Returns:
            The memory that the decoder attends to, one vector per source token.
        """
        x = self.source_embeddings(source_ids, source_layout.positions, source_layout.max_length)
        for block in self.encoder_blocks:
            x = block(x, source_layout)
        return self.encoder_norm(x)

    def forward(
        self,
        source_ids: Int[Tensor, " source_tokens"],
        source_layout: SequenceLayout,
        target_ids: Int[Tensor, " target_tokens"],
        target_layout: SequenceLayout,
    ) -> Float[Tensor, "target_tokens vocab"]:
        """Scores the next token at every position of the target (teacher forcing).

        Args:
            source_ids: Source tokens.
            source_layout: Their sentences.
            target_ids: Target tokens, each sentence beginning with the begin token.
            target_layout: Their sentences, as many.

        Returns:
            Logits of the token after each target token.
        """
        memory = self.encode(source_ids, source_layout)
        x = self.target_embeddings(target_ids, target_layout.positions, target_layout.max_length)
        for block in self.decoder_blocks:
            x = block(x, target_layout, memory, source_layout)
        return self.logits(self.decoder_norm(x))

    def logits(self, x: Float[Tensor, "tokens d_model"]) -> Float[Tensor, "tokens vocab"]:
        """Scores every token of the target vocabulary.

        Args:
            x: Decoder states.

        Returns:
            Logits.
        """
        if self.output is None:
            logits = tied_logits(x, self.target_embeddings.token)
        else:
            logits = self.output(x)
        return logits if self.output_bias is None else logits + self.output_bias.to(logits.dtype)

    def start(
        self, source_ids: Int[Tensor, " tokens"], source_layout: SequenceLayout
    ) -> TransformerDecoding:
        """Begins to translate a batch.

        Args:
            source_ids: Source tokens.
            source_layout: Their sentences.

        Returns:
            A state that the searches of ``lowkey.decoding`` can step.
        """
        return TransformerDecoding(self, source_ids, source_layout)


def _shapes(config: TransformerConfig, kernel: str) -> tuple[BlockShape, BlockShape]:
    """Reads the shape of encoder and decoder blocks off the sizes."""
    encoder = BlockShape(
        d_model=config.d_model,
        num_heads=config.num_heads,
        d_ff=config.d_ff,
        activation=config.activation,
        gated=config.gated,
        rotary=config.positions == "rotary",
        dropout=config.dropout,
        attention_dropout=config.attention_dropout,
        activation_dropout=config.activation_dropout,
        pre_norm=config.norm == "pre",
        kernel=kernel,
    )
    decoder = replace(
        encoder,
        num_heads=config.decoder_num_heads or config.num_heads,
        d_ff=config.decoder_d_ff or config.d_ff,
    )
    return encoder, decoder


def _embeddings(token: nn.Embedding, config: TransformerConfig) -> TransformerEmbeddings:
    """Puts positions and scale around a table."""
    dropout = config.embedding_dropout
    return TransformerEmbeddings(
        token,
        config.positions,
        config.max_positions,
        config.dropout if dropout is None else dropout,
        scaled=config.scale_embeddings,
        sinusoids=config.sinusoids,
    )
