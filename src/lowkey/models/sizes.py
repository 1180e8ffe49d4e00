"""The sizes of a Transformer trained from scratch: by name, or key by key. Knows no torch."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lowkey.config import Config
from lowkey.models.config import Activation, Count, Positions, Rate, Width, refuse_misfit

SizeName = Literal["tiny", "small", "iwslt", "base", "big"]


class NamedSize(Config):
    """What the name of a size stands for.

    Attributes:
        d_model: Width, in features.
        num_heads: Attention heads.
        num_encoder_layers: Number of encoder blocks.
        num_decoder_layers: Number of decoder blocks.
        d_ff: Width of the feed-forward networks.
        dropout: Probability that one feature of a sub-layer's output, or an embedding, is dropped.
        attention_dropout: Probability that one attention weight is dropped.
    """

    d_model: Width
    num_heads: Count
    num_encoder_layers: Count
    num_decoder_layers: Count
    d_ff: Width
    dropout: Rate
    attention_dropout: Rate


def _size(
    d_model: int, num_heads: int, layers: int, d_ff: int, dropout: float, attention_dropout: float
) -> NamedSize:
    return NamedSize(
        d_model=d_model,
        num_heads=num_heads,
        num_encoder_layers=layers,
        num_decoder_layers=layers,
        d_ff=d_ff,
        dropout=dropout,
        attention_dropout=attention_dropout,
    )


SIZES: dict[SizeName, NamedSize] = {
    "tiny": _size(128, 4, 3, 512, 0.1, 0.1),
    "small": _size(256, 4, 4, 1024, 0.1, 0.1),
    "iwslt": _size(512, 4, 6, 1024, 0.3, 0.0),
    "base": _size(512, 8, 6, 2048, 0.1, 0.0),
    "big": _size(1024, 16, 6, 4096, 0.3, 0.0),
}
"""``base`` and ``big`` are the rows of table 3 of Vaswani et al., 2017; the paper names no dropout
of attention weights (section 5.4). ``iwslt`` is fairseq's ``transformer_iwslt_de_en`` with the
dropout of its example: half the inner width of base and three times the dropout, for some 100,000
pairs. ``tiny`` is the shape of the Transformer that ``lowkey demo`` trains in minutes; ``small``
stands between, for sentences on a laptop."""

_SMALL = SIZES["small"]


class TransformerSizes(Config):
    """The sizes of a Transformer trained from scratch; its vocabularies come from the tokenizers.

    Attributes:
        size: Name of a size, for the keys of ``NamedSize`` that are not given; None: small.
        d_model: Width, in features.
        num_heads: Attention heads; a divisor of ``d_model``.
        num_encoder_layers: Number of encoder blocks.
        num_decoder_layers: Number of decoder blocks.
        d_ff: Width of the feed-forward networks.
        decoder_num_heads: Attention heads of the decoder; None: as many as the encoder's.
        decoder_d_ff: Width of the decoder's feed-forward networks; None: as the encoder's.
        norm: "post" (the paper) or "pre".
        positions: "sinusoidal" (the paper), "learned" or "rotary".
        max_positions: Longest sentence that learned positions can number.
        activation: Non-linearity of the feed-forward networks.
        gated: Whether a second map gates the feed-forward networks.
        dropout: Probability that one feature of a sub-layer's output is dropped.
        embedding_dropout: Probability that one feature of an embedding is dropped; None: as
            ``dropout``.
        attention_dropout: Probability that one attention weight is dropped.
        activation_dropout: Probability that one feature inside a feed-forward network is dropped.
        scale_embeddings: Whether embeddings are multiplied by the root of ``d_model``.
        tie_embeddings: Whether the target table is the output projection too.
        share_embeddings: Whether source and target share one table; None: if the tokenizer is
            joint.

    Example:
        >>> TransformerSizes(size="base", num_heads=16).d_ff
        2048
    """

    size: SizeName | None = None
    d_model: Width = _SMALL.d_model
    num_heads: Count = _SMALL.num_heads
    num_encoder_layers: Count = _SMALL.num_encoder_layers
    num_decoder_layers: Count = _SMALL.num_decoder_layers
    d_ff: Width = _SMALL.d_ff
    decoder_num_heads: Count | None = None
    decoder_d_ff: Width | None = None
    norm: Literal["post", "pre"] = "post"
    positions: Positions = "sinusoidal"
    max_positions: Annotated[int, Field(ge=1, le=1_000_000)] = 512
    activation: Activation = "relu"
    gated: bool = False
    dropout: Rate = _SMALL.dropout
    embedding_dropout: Rate | None = None
    attention_dropout: Rate = _SMALL.attention_dropout
    activation_dropout: Rate = 0.0
    scale_embeddings: bool = True
    tie_embeddings: bool = True
    share_embeddings: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _filled_from_the_size(cls, values: Any) -> Any:
        size = values.get("size") if isinstance(values, dict) else None
        # A name that is none, or no text at all, is refused with the field.
        if isinstance(size, str) and size in SIZES:
            return {**SIZES[size].model_dump(), **values}
        return values

    @model_validator(mode="after")
    def _parts_fit(self) -> "TransformerSizes":
        refuse_misfit(self.d_model, self.num_heads, self.decoder_num_heads, self.positions)
        return self

    def remark(self) -> str:
        """Tells of keys that are not what the named size says: a recipe may list them by accident.

        Returns:
            A clause such as ", size base but num_heads 16"; empty where there is nothing to tell.
        """
        if self.size is None:
            return ""
        said = SIZES[self.size].model_dump()
        values = {key: getattr(self, key) for key in said}
        changed = [f"{key} {value}" for key, value in values.items() if value != said[key]]
        return f", size {self.size}{' but ' if changed else ''}{', '.join(changed)}"

    def config_values(self, *, joint: bool) -> dict[str, Any]:
        """Gives what a ``TransformerConfig`` holds beside the vocabularies.

        Args:
            joint: Whether source and target have one vocabulary.

        Returns:
            Values by name.
        """
        values = self.model_dump(exclude={"size"})
        if self.share_embeddings is None:
            values["share_embeddings"] = joint
        return values
