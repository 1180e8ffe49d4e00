"""``config.json`` of each family of encoders: the keys that decide what is computed, bounded."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from lowkey.hf.activations import ACTIVATIONS, Theirs
from lowkey.hf.schema import Schema
from lowkey.models.config import (
    Count,
    EncoderConfig,
    EncoderFamily,
    Rate,
    Vocabulary,
    Width,
)

Position = Field(default=512, ge=1, le=1_000_000)
ProblemType = Literal["regression", "single_label_classification", "multi_label_classification"]


class EncoderConfigFile(Schema, ABC):
    """What the files of all families share.

    The bounds of ``EncoderConfig`` hold: they stop a forged file before it costs anything.
    """

    WIDTH_AND_HEADS: ClassVar[tuple[str, str]]

    model_type: EncoderFamily
    architectures: list[str] | None = None
    vocab_size: Vocabulary
    max_position_embeddings: int = Position
    pad_token_id: int | None = Field(default=0, ge=0)
    pruned_heads: dict[str, list[int]] = Field(default={}, max_length=0)
    id2label: dict[str, str] | None = None
    problem_type: ProblemType | None = None

    @field_validator("id2label")
    @classmethod
    def _ids_from_zero(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        if value is not None and set(value) != {str(i) for i in range(len(value))}:
            raise ValueError("the keys of id2label must be 0, 1, 2 and so on, without gaps")
        return value

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "EncoderConfigFile":
        width, heads = (getattr(self, key) for key in self.WIDTH_AND_HEADS)
        if width % heads:
            width_key, heads_key = self.WIDTH_AND_HEADS
            raise ValueError(f"{width_key} {width} is not divisible by {heads_key} {heads}")
        return self

    @property
    def labels(self) -> list[str] | None:
        """Names of the classes in the order of the logits, if the file says."""
        names = self.id2label
        return None if names is None else [names[str(i)] for i in range(len(names))]

    @property
    @abstractmethod
    def head_dropout(self) -> float:
        """Dropout before the classifier."""

    @property
    @abstractmethod
    def encoder(self) -> EncoderConfig:
        """The same encoder in our words."""


class BertConfigFile(EncoderConfigFile):
    """BERT, and the families that took over its keys."""

    WIDTH_AND_HEADS = ("hidden_size", "num_attention_heads")

    model_type: EncoderFamily = "bert"
    hidden_size: Width
    num_hidden_layers: Count
    num_attention_heads: Count
    intermediate_size: Width
    hidden_act: Theirs = "gelu"
    hidden_dropout_prob: Rate = 0.1
    attention_probs_dropout_prob: Rate = 0.1
    classifier_dropout: Rate | None = None
    type_vocab_size: int = Field(default=2, ge=1, le=1024)
    layer_norm_eps: float = Field(default=1e-12, gt=0, le=0.1)
    position_embedding_type: Literal["absolute"] = "absolute"
    is_decoder: Literal[False] = False
    add_cross_attention: Literal[False] = False
    is_encoder_decoder: Literal[False] = False

    @property
    def head_dropout(self) -> float:
        """Dropout before the classifier."""
        dropout = self.classifier_dropout
        return self.hidden_dropout_prob if dropout is None else dropout

    @property
    def encoder(self) -> EncoderConfig:
        """The same encoder in our words."""
        return EncoderConfig(
            family=self.model_type,
            vocab_size=self.vocab_size,
            d_model=self.hidden_size,
            num_layers=self.num_hidden_layers,
            num_heads=self.num_attention_heads,
            d_ff=self.intermediate_size,
            max_positions=self.max_position_embeddings,
            num_segments=self.type_vocab_size,
            activation=ACTIVATIONS[self.hidden_act],
            norm_eps=self.layer_norm_eps,
            dropout=self.hidden_dropout_prob,
            attention_dropout=self.attention_probs_dropout_prob,
        )


class RobertaConfigFile(BertConfigFile):
    """RoBERTa: the rows of its position table up to the padding token's id are never used."""

    pad_token_id: int = Field(default=1, ge=0)

    @model_validator(mode="after")
    def _positions_left(self) -> "RobertaConfigFile":
        if self.max_position_embeddings <= self._offset:
            raise ValueError(
                f"max_position_embeddings {self.max_position_embeddings} leaves no position behind"
                f" pad_token_id {self.pad_token_id}"
            )
        return self

    @property
    def _offset(self) -> int:
        return self.pad_token_id + 1

    @property
    def encoder(self) -> EncoderConfig:
        """The same encoder in our words."""
        positions = self.max_position_embeddings - self._offset
        changes = {"max_positions": positions, "position_offset": self._offset}
        return super().encoder.model_copy(update=changes)


class ElectraConfigFile(BertConfigFile):
    """ELECTRA: embeddings may be narrower than the blocks, and there is no pooler."""

    embedding_size: Width = 128

    @property
    def encoder(self) -> EncoderConfig:
        """The same encoder in our words."""
        narrow = self.embedding_size if self.embedding_size != self.hidden_size else None
        return super().encoder.model_copy(update={"embedding_size": narrow, "pooler": False})


class AlbertConfigFile(BertConfigFile):
    """ALBERT: one block that a text passes again and again, behind narrow embeddings."""

    model_type: EncoderFamily = "albert"
    embedding_size: Width = 128
    hidden_act: Theirs = "gelu_new"
    hidden_dropout_prob: Rate = 0.0
    attention_probs_dropout_prob: Rate = 0.0
    classifier_dropout_prob: Rate = 0.1
    # No published model has others.
    num_hidden_groups: Literal[1] = 1
    inner_group_num: Literal[1] = 1

    @property
    def head_dropout(self) -> float:
        """Dropout before the classifier."""
        return self.classifier_dropout_prob

    @property
    def encoder(self) -> EncoderConfig:
        """The same encoder in our words."""
        changes = {"embedding_size": self.embedding_size, "share_blocks": True}
        return super().encoder.model_copy(update=changes)


class DistilBertConfigFile(EncoderConfigFile):
    """DistilBERT: half of BERT's blocks, no segments, no pooler, and other names for all of it."""

    WIDTH_AND_HEADS = ("dim", "n_heads")

    model_type: EncoderFamily = "distilbert"
    dim: Width
    n_layers: Count
    n_heads: Count
    hidden_dim: Width
    activation: Theirs = "gelu"
    dropout: Rate = 0.1
    attention_dropout: Rate = 0.1
    seq_classif_dropout: Rate = 0.2

    @property
    def head_dropout(self) -> float:
        """Dropout before the classifier."""
        return self.seq_classif_dropout

    @property
    def encoder(self) -> EncoderConfig:
        """The same encoder in our words."""
        return EncoderConfig(
            family="distilbert",
            vocab_size=self.vocab_size,
            d_model=self.dim,
            num_layers=self.n_layers,
            num_heads=self.n_heads,
            d_ff=self.hidden_dim,
            max_positions=self.max_position_embeddings,
            num_segments=0,
            pooler=False,
            activation=ACTIVATIONS[self.activation],
            norm_eps=1e-12,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
        )


SCHEMAS: dict[EncoderFamily, type[EncoderConfigFile]] = {
    "bert": BertConfigFile,
    "roberta": RobertaConfigFile,
    "xlm-roberta": RobertaConfigFile,
    "camembert": RobertaConfigFile,
    "distilbert": DistilBertConfigFile,
    "electra": ElectraConfigFile,
    "albert": AlbertConfigFile,
}
"""The schema of each value of ``model_type`` that lowkey reads."""
