"""``config.json`` of ModernBERT, as its authors wrote it and as transformers 5 does.

References:
    Warner et al., "Smarter, Better, Faster, Longer: A Modern Bidirectional Encoder for Fast, Memory
    Efficient, and Long Context Finetuning and Inference", 2024.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lowkey.hf.activations import ACTIVATIONS, Theirs
from lowkey.hf.encoder_config_file import EncoderConfigFile
from lowkey.hf.schema import Schema
from lowkey.models.config import Base, Count, EncoderConfig, EncoderFamily, Rate, Width

# The published models have none; transformers would put it where lowkey has no place for it.
_NoDropout = Annotated[float, Field(ge=0, le=0)]
_Layer = Literal["full_attention", "sliding_attention"]


class _Rotary(Schema):
    """The angles of one kind of layers."""

    rope_type: Literal["default"] = "default"
    rope_theta: Base


class ModernBertConfigFile(EncoderConfigFile):
    """ModernBERT: rotary positions, windows in most layers, gated maps, and no biases."""

    WIDTH_AND_HEADS = ("hidden_size", "num_attention_heads")

    model_type: EncoderFamily = "modernbert"
    pad_token_id: int | None = Field(default=50_283, ge=0)
    max_position_embeddings: int = Field(default=8192, ge=1, le=1_000_000)
    hidden_size: Width
    num_hidden_layers: Count
    num_attention_heads: Count
    intermediate_size: Width
    hidden_activation: Theirs = "gelu"
    norm_eps: float = Field(default=1e-5, gt=0, le=0.1)
    local_attention: int = Field(default=128, ge=0, le=1_000_000)
    global_attn_every_n_layers: Count = 3
    layer_types: list[_Layer] | None = Field(default=None, min_length=1, max_length=1024)
    global_rope_theta: Base = 160_000.0
    local_rope_theta: Base | None = 10_000.0
    rope_parameters: dict[_Layer, _Rotary] | None = None
    classifier_pooling: Literal["cls", "mean"] = "cls"
    classifier_dropout: Rate = 0.0
    classifier_activation: Literal["gelu"] = "gelu"
    attention_bias: Literal[False] = False
    mlp_bias: Literal[False] = False
    norm_bias: Literal[False] = False
    classifier_bias: Literal[False] = False
    attention_dropout: _NoDropout = 0.0
    embedding_dropout: _NoDropout = 0.0
    mlp_dropout: _NoDropout = 0.0
    # They stand in published files, and no code reads them.
    layer_norm_eps: float | None = None
    position_embedding_type: str | None = None

    @model_validator(mode="after")
    def _layers_alternate(self) -> "ModernBertConfigFile":
        width, heads = self.hidden_size, self.num_attention_heads
        if width // heads % 2:
            raise ValueError(f"hidden_size {width} leaves an odd number to each of {heads} heads")
        layers = range(self.num_hidden_layers)
        every = self._global_every
        if self.layer_types not in (None, [_kind(layer, every) for layer in layers]):
            raise ValueError(
                "layer_types must be full_attention in every n-th of the layers, from the first,"
                " and sliding_attention between"
            )
        return self

    @property
    def _global_every(self) -> int:
        types = self.layer_types
        if types is None:
            return self.global_attn_every_n_layers
        # Of a single one, any step that leads out of the model says the same.
        return next((i for i, kind in enumerate(types) if i and kind == _kind(0, 1)), len(types))

    def _base(self, kind: _Layer, otherwise: float) -> float:
        rotary = (self.rope_parameters or {}).get(kind)
        return otherwise if rotary is None else rotary.rope_theta

    @property
    def head_dropout(self) -> float:
        """Dropout before the classifier."""
        return self.classifier_dropout

    @property
    def span_dropout(self) -> float:
        """Dropout before the head that finds answers."""
        return self.classifier_dropout

    @property
    def encoder(self) -> EncoderConfig:
        """The same encoder in our words."""
        everywhere = self._base("full_attention", self.global_rope_theta)
        nearby = self.local_rope_theta
        return EncoderConfig(
            family="modernbert",
            vocab_size=self.vocab_size,
            d_model=self.hidden_size,
            num_layers=self.num_hidden_layers,
            num_heads=self.num_attention_heads,
            d_ff=self.intermediate_size,
            max_positions=self.max_position_embeddings,
            positions="rotary",
            rotary_base=everywhere,
            local_rotary_base=self._base(
                "sliding_attention", everywhere if nearby is None else nearby
            ),
            local_window=self.local_attention // 2,
            global_every=self._global_every,
            num_segments=0,
            pooler=False,
            pooling="mean" if self.classifier_pooling == "mean" else "first",
            norm="pre",
            gated=True,
            bias=False,
            activation=ACTIVATIONS[self.hidden_activation],
            norm_eps=self.norm_eps,
            dropout=0.0,
            attention_dropout=0.0,
        )


def _kind(layer: int, every: int) -> _Layer:
    """What attention a layer has if every so many are global."""
    return "sliding_attention" if layer % every else "full_attention"
