"""``config.json`` of each family of encoders: the keys that decide what is computed, bounded."""

from typing import Literal

from pydantic import Field, model_validator

from lowkey.hf.activations import ACTIVATIONS, Theirs
from lowkey.hf.encoder_config_file import EncoderConfigFile
from lowkey.hf.modernbert_schema import ModernBertConfigFile
from lowkey.models.config import Count, EncoderConfig, EncoderFamily, Rate, Width


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


class MPNetConfigFile(RobertaConfigFile):
    """MPNet: RoBERTa's positions, a bias for each distance beside them, and no segments."""

    model_type: EncoderFamily = "mpnet"
    pad_token_id: Literal[1] = 1
    # transformers sorts distances into 32, whatever the file says.
    relative_attention_num_buckets: Literal[32] = 32

    @property
    def encoder(self) -> EncoderConfig:
        """The same encoder in our words."""
        changes = {"num_segments": 0, "relative_buckets": self.relative_attention_num_buckets}
        return super().encoder.model_copy(update=changes)

    @property
    def head_dropout(self) -> float:
        """Dropout before the classifier, for which MPNet has no rate of its own."""
        return self.hidden_dropout_prob


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
    qa_dropout: Rate = 0.1

    @property
    def head_dropout(self) -> float:
        """Dropout before the classifier."""
        return self.seq_classif_dropout

    @property
    def span_dropout(self) -> float:
        """Dropout before the head that finds answers."""
        return self.qa_dropout

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
    "mpnet": MPNetConfigFile,
    "modernbert": ModernBertConfigFile,
}
"""The schema of each value of ``model_type`` that lowkey reads."""
