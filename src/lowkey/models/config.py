"""Sizes of the networks. Knows no torch, so that a bad recipe is answered at once."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lowkey.config import Config

# Bounds far above any model of this field: a hostile file must not reach an allocation.
Count = Annotated[int, Field(ge=1, le=1024)]
Width = Annotated[int, Field(ge=1, le=65_536)]
Vocabulary = Annotated[int, Field(ge=1, le=10_000_000)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Activation = Literal["relu", "gelu", "gelu_new", "silu"]
Positions = Literal["sinusoidal", "learned", "rotary"]
Base = Annotated[float, Field(gt=1, le=1e12)]
HeadActivation = Literal["tanh", "gelu", "relu"]
Pooling = Literal["auto", "first", "mean", "max"]
EncoderFamily = (
    Literal["bert", "roberta", "xlm-roberta", "camembert"]
    | Literal["distilbert", "electra", "albert", "mpnet", "modernbert"]
)


def refuse_uneven_heads(d_model: int, num_heads: int, key: str = "num_heads") -> None:
    """Refuses a number of heads that does not divide the width.

    Args:
        d_model: Width, in features.
        num_heads: Attention heads.
        key: Where that number stands, for the message.

    Raises:
        ValueError: If the heads cannot share the width evenly; names the nearest that can.
    """
    if d_model % num_heads:
        nearest = _nearest(num_heads, [n for n in range(1, d_model + 1) if d_model % n == 0])
        width = max(num_heads, d_model // num_heads * num_heads)
        raise ValueError(
            f"d_model {d_model} is not divisible by {key} {num_heads}"
            f" — use {nearest} heads, or d_model {width}"
        )


def refuse_misfit(
    d_model: int, num_heads: int, decoder_num_heads: int | None, positions: Positions
) -> None:
    """Refuses widths that heads or positions cannot share evenly.

    Args:
        d_model: Width, in features.
        num_heads: Attention heads of the encoder.
        decoder_num_heads: Attention heads of the decoder, if they are others.
        positions: The kind of positions.

    Raises:
        ValueError: If heads cannot share the width evenly, or positions need pairs of features
            where there is an odd number of them.
    """
    if positions in ("sinusoidal", "rotary") and d_model % 2:
        raise ValueError(f"{positions} positions need an even d_model, got {d_model}")
    for key, heads in (("num_heads", num_heads), ("decoder_num_heads", decoder_num_heads)):
        if heads is None:
            continue
        refuse_uneven_heads(d_model, heads, key)
        if positions == "rotary" and d_model // heads % 2:
            nearest = _nearest(heads, [n for n in range(1, d_model + 1) if d_model % (2 * n) == 0])
            raise ValueError(
                f"{key} {heads} leaves {d_model // heads} of d_model {d_model} to each head, and"
                f" rotary positions turn features in pairs — use {nearest} heads"
            )


def _nearest(number: int, choices: list[int]) -> int:
    """Finds the choice that is nearest to a number."""
    return min(choices, key=lambda choice: abs(choice - number))


class _Network(Config):
    d_model: Width
    num_heads: Count
    d_ff: Width
    dropout: Rate = 0.1
    attention_dropout: Rate = 0.1
    max_positions: Annotated[int, Field(ge=1, le=1_000_000)] = 512

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "_Network":
        refuse_uneven_heads(self.d_model, self.num_heads)
        return self


class EncoderConfig(_Network):
    """A BERT-family encoder.

    Args:
        vocab_size: Number of tokens.
        family: The published family whose files hold such encoders; it changes no computation.
        d_model: Width, in features.
        embedding_size: Width of the embeddings, which a linear map brings to ``d_model`` (ELECTRA,
            ALBERT); None: ``d_model``, without a map.
        num_layers: Number of blocks that a text passes.
        share_blocks: Whether it passes one block again and again (ALBERT).
        num_heads: Attention heads; a divisor of ``d_model``.
        d_ff: Width of the feed-forward network.
        max_positions: Longest sentence, in tokens.
        position_offset: Row of the position table that the first token takes; RoBERTa leaves the
            rows up to its padding token's id unused.
        relative_buckets: Kinds of distances between two tokens that attention tells apart, in all
            blocks alike (MPNet); 0: none.
        num_segments: Number of segments (the texts of a pair); 0: no segment is added.
        pooler: Whether BERT's pooler stands beside the blocks, a map of the first token.
        pooling: What summarises a sentence without a pooler: its first token or the mean of all.
        positions: "learned" rows of a table, or "rotary" (ModernBERT).
        rotary_base: The base of the angles in global blocks.
        local_rotary_base: The same in local ones.
        global_every: Which blocks look as far as a sentence goes: every so many, from the first; 1:
            all.
        local_window: How many tokens away the other blocks look.
        norm: "post", or "pre" with one more normalisation behind the last block.
        gated: Whether a second map gates the feed-forward network.
        bias: Whether maps and normalisations have a bias.
        activation: Non-linearity of the feed-forward network.
        norm_eps: What layer normalisation adds to the variance.
        dropout: Probability that one hidden feature is dropped.
        attention_dropout: Probability that one attention weight is dropped.
    """

    vocab_size: Vocabulary
    num_layers: Count
    family: EncoderFamily = "bert"
    embedding_size: Width | None = None
    share_blocks: bool = False
    position_offset: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    relative_buckets: Annotated[int, Field(ge=0, le=1024, multiple_of=4)] = 0
    num_segments: Annotated[int, Field(ge=0, le=1024)] = 2
    pooler: bool = True
    pooling: Literal["first", "mean"] = "first"
    positions: Literal["learned", "rotary"] = "learned"
    rotary_base: Base = 10_000.0
    local_rotary_base: Base = 10_000.0
    global_every: Count = 1
    local_window: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    norm: Literal["post", "pre"] = "post"
    gated: bool = False
    bias: bool = True
    activation: Activation = "gelu"
    norm_eps: Annotated[float, Field(gt=0, le=0.1)] = 1e-12

    @model_validator(mode="after")
    def _positions_fit(self) -> "EncoderConfig":
        refuse_misfit(self.d_model, self.num_heads, None, self.positions)
        if self.share_blocks and self.norm == "pre":
            # The first block has no norm in front of its attention, and all others need one.
            raise ValueError("share_blocks needs norm post — set norm to post")
        return self

    @property
    def num_blocks(self) -> int:
        """Number of blocks that have parameters of their own."""
        return 1 if self.share_blocks else self.num_layers


class TransformerConfig(_Network):
    """An encoder-decoder Transformer.

    Args:
        source_vocab_size: Number of source tokens.
        target_vocab_size: Number of target tokens.
        d_model: Width, in features.
        num_heads: Attention heads; a divisor of ``d_model``.
        num_encoder_layers: Number of encoder blocks.
        num_decoder_layers: Number of decoder blocks.
        d_ff: Width of the feed-forward networks.
        decoder_num_heads: Attention heads of the decoder; None: as many as the encoder's.
        decoder_d_ff: Width of the decoder's feed-forward networks; None: as wide as the encoder's.
        norm: "post" (the paper) or "pre".
        positions: "sinusoidal" (the paper), "learned" or "rotary".
        sinusoids: Whether sines and cosines take turns ("interleaved", the paper) or the sines
            stand first and the cosines behind them ("halves", Marian).
        max_positions: Longest sentence that learned positions can number.
        activation: Non-linearity of the feed-forward networks.
        gated: Whether a second map gates the feed-forward networks (Shazeer, 2020).
        dropout: Probability that one feature of a sub-layer's output is dropped.
        embedding_dropout: Probability that one feature of an embedding is dropped; None: as
            ``dropout``.
        attention_dropout: Probability that one attention weight is dropped.
        activation_dropout: Probability that one feature inside a feed-forward network is dropped.
        scale_embeddings: Whether embeddings are multiplied by the root of ``d_model``.
        tie_embeddings: Whether the target table is the output projection too.
        share_embeddings: Whether source and target share one table; needs one vocabulary.
        output_bias: Whether each target token has a bias of its own in the output projection.
    """

    source_vocab_size: Vocabulary
    target_vocab_size: Vocabulary
    num_encoder_layers: Count
    num_decoder_layers: Count
    decoder_num_heads: Count | None = None
    decoder_d_ff: Width | None = None
    norm: Literal["post", "pre"] = "post"
    positions: Positions = "sinusoidal"
    sinusoids: Literal["interleaved", "halves"] = "interleaved"
    activation: Activation = "relu"
    gated: bool = False
    embedding_dropout: Rate | None = None
    activation_dropout: Rate = 0.0
    scale_embeddings: bool = True
    tie_embeddings: bool = True
    share_embeddings: bool = False
    output_bias: bool = False

    @model_validator(mode="after")
    def _parts_fit(self) -> "TransformerConfig":
        refuse_misfit(self.d_model, self.num_heads, self.decoder_num_heads, self.positions)
        if self.share_embeddings and self.source_vocab_size != self.target_vocab_size:
            raise ValueError(
                f"share_embeddings needs one vocabulary, but source has {self.source_vocab_size}"
                f" tokens and target {self.target_vocab_size}"
            )
        return self
