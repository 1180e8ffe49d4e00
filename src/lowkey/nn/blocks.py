"""Encoder and decoder blocks (Vaswani et al., 2017, section 3.1), post- or pre-norm.

Post-norm is the paper's ``LayerNorm(x + Sublayer(x))``, and BERT's. Pre-norm is
``x + Sublayer(LayerNorm(x))``: it trains deep stacks without warm-up (Xiong et al., 2020) and
needs one more normalisation after the last block.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor, nn

from lowkey.nn.attention import MultiHeadAttention
from lowkey.nn.cache import CrossAttentionCache, SelfAttentionCache
from lowkey.nn.dropout import Dropout
from lowkey.nn.feed_forward import FeedForward
from lowkey.nn.layout import SequenceLayout
from lowkey.nn.linear import LayerNorm


@dataclass(frozen=True)
class BlockShape:
    """What all blocks of a model share.

    Args:
        d_model: Width, in features.
        num_heads: Attention heads.
        d_ff: Width of the feed-forward network.
        activation: Its non-linearity.
        dropout: Probability that one feature of a sub-layer's output is dropped.
        attention_dropout: Probability that one attention weight is dropped.
        activation_dropout: Probability that one feature inside the feed-forward network is dropped.
        gated: Whether a second map gates the feed-forward network.
        bias: Whether linear maps and normalisations have a bias.
        rotary: Whether self-attention turns queries and keys by their positions.
        rotary_base: The base of its angles.
        rotary_pairs: Which features it turns together; see ``RotaryPositions``.
        window: How many tokens away self-attention looks; None: as far as a sentence goes.
        norm_eps: What layer normalisation adds to the variance.
        pre_norm: Whether to normalise before a sub-layer instead of after it.
        kernel: How attention is computed.
    """

    d_model: int
    num_heads: int
    d_ff: int
    activation: str = "relu"
    dropout: float = 0.0
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    gated: bool = False
    bias: bool = True
    rotary: bool = False
    rotary_base: float = 10_000.0
    rotary_pairs: str = "neighbours"
    window: int | None = None
    norm_eps: float = 1e-5
    pre_norm: bool = False
    kernel: str = "auto"

    def attention(self) -> MultiHeadAttention:
        """Makes one self-attention of this shape."""
        return MultiHeadAttention(
            self.d_model,
            self.num_heads,
            dropout=self.attention_dropout,
            bias=self.bias,
            kernel=self.kernel,
            rotary=self.rotary,
            rotary_base=self.rotary_base,
            rotary_pairs=self.rotary_pairs,
            window=self.window,
        )

    def cross_attention(self) -> MultiHeadAttention:
        """Makes one attention to a memory: its tokens have no place in the order of the asking."""
        return replace(self, rotary=False, window=None).attention()

    def feed_forward(self) -> FeedForward:
        """Makes one feed-forward network of this shape."""
        return FeedForward(
            self.d_model,
            self.d_ff,
            self.activation,
            gated=self.gated,
            bias=self.bias,
            dropout=self.activation_dropout,
        )

    def norm(self) -> LayerNorm:
        """Makes one normalisation of this shape."""
        return LayerNorm(self.d_model, eps=self.norm_eps, bias=self.bias)


class _Block(nn.Module):
    """What encoder and decoder blocks have in common: the residual connection."""

    def __init__(self, shape: BlockShape):
        super().__init__()
        self.pre_norm = shape.pre_norm
        self.dropout = Dropout(shape.dropout)

    def _residual(self, x: Tensor, norm: nn.Module, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        if self.pre_norm:
            return x + self.dropout(sublayer(norm(x)))
        return norm(x + self.dropout(sublayer(x)))


class EncoderBlock(_Block):
    """Self-attention, then feed-forward.

    Args:
        shape: Sizes and rates.
    """

    def __init__(self, shape: BlockShape):
        super().__init__(shape)
        self.attention = shape.attention()
        self.attention_norm = shape.norm()
        self.feed_forward = shape.feed_forward()
        self.feed_forward_norm = shape.norm()

    def forward(
        self,
        x: Float[Tensor, "tokens d_model"],
        layout: SequenceLayout,
        bias: Float[Tensor, "heads distances"] | None = None,
    ) -> Float[Tensor, "tokens d_model"]:
        """Maps the tokens of each sentence.

        Args:
            x: Tokens.
            layout: Their sentences.
            bias: What attention adds to a score for each distance; see ``RelativeBias``.

        Returns:
            As many tokens.
        """
        x = self._residual(x, self.attention_norm, lambda y: self.attention(y, layout, bias=bias))
        return self._residual(x, self.feed_forward_norm, self.feed_forward)


@dataclass
class BlockCache:
    """What one decoder block keeps while decoding.

    Args:
        itself: Keys and values of the tokens generated so far.
        memory: Keys and values of the source.
    """

    itself: SelfAttentionCache
    memory: CrossAttentionCache


class DecoderBlock(_Block):
    """Causal self-attention, then attention to the encoded source, then feed-forward.

    Args:
        shape: Sizes and rates.
    """

    def __init__(self, shape: BlockShape):
        super().__init__(shape)
        self.attention = shape.attention()
        self.attention_norm = shape.norm()
        self.cross_attention = shape.cross_attention()
        self.cross_attention_norm = shape.norm()
        self.feed_forward = shape.feed_forward()
        self.feed_forward_norm = shape.norm()

    def forward(
        self,
        x: Float[Tensor, "tokens d_model"],
        layout: SequenceLayout,
        memory: Float[Tensor, "memory_tokens d_model"],
        memory_layout: SequenceLayout,
    ) -> Float[Tensor, "tokens d_model"]:
        """Maps the target tokens of each sentence.

        Args:
            x: Target tokens.
            layout: Their sentences.
            memory: The encoded source.
            memory_layout: Its sentences, as many.

        Returns:
            As many target tokens; each knows only itself, those before it and the source.
        """
        x = self._residual(x, self.attention_norm, lambda y: self.attention(y, layout, causal=True))
        x = self._residual(
            x,
            self.cross_attention_norm,
            lambda y: self.cross_attention(y, layout, memory, memory_layout),
        )
        return self._residual(x, self.feed_forward_norm, self.feed_forward)

    def cache(
        self, memory: Float[Tensor, "memory_tokens d_model"], memory_layout: SequenceLayout
    ) -> BlockCache:
        """Begins to decode: computes what the source answers with.

        Args:
            memory: The encoded source.
            memory_layout: Its sentences.

        Returns:
            A cache for ``step``.
        """
        cross = self.cross_attention
        keys, values = cross.key(memory), cross.value(memory)
        return BlockCache(
            SelfAttentionCache(), CrossAttentionCache(keys, values, memory_layout, cross.num_heads)
        )

    def step(
        self, x: Float[Tensor, "rows d_model"], layout: SequenceLayout, cache: BlockCache
    ) -> Float[Tensor, "rows d_model"]:
        """Maps the newest token of each row.

        Args:
            x: The newest tokens.
            layout: One token per row.
            cache: What was kept; takes the newest tokens in.

        Returns:
            As many tokens, equal to what ``forward`` computes for them.
        """
        x = self._residual(
            x, self.attention_norm, lambda y: self.attention(y, layout, cache=cache.itself)
        )
        x = self._residual(
            x,
            self.cross_attention_norm,
            lambda y: self.cross_attention(y, layout, cache=cache.memory),
        )
        return self._residual(x, self.feed_forward_norm, self.feed_forward)
