"""``config.json`` of a BERT checkpoint, read strictly and written as transformers writes it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from lowkey.errors import DataError, shown
from lowkey.hf.model_folder import CONFIG
from lowkey.hf.schema import Schema, parse, read_object
from lowkey.models.config import Activation, Count, EncoderConfig, Rate, Vocabulary, Width

FAMILIES = ("bert",)
"""The values of ``model_type`` whose checkpoints lowkey reads."""

CLASSIFIER = "BertForSequenceClassification"
"""The architecture whose ``classifier`` is a sentence classifier; a tagger's has the same name."""

HARMLESS = frozenset(
    {
        # Notes about where the file comes from.
        "_name_or_path",
        "finetuning_task",
        "language",
        "tokenizer_class",
        "transformers_version",
        # How it was trained, initialised and stored.
        "dtype",
        "gradient_checkpointing",
        "initializer_range",
        "tie_word_embeddings",
        "torch_dtype",
        # What transformers returns and how it computes, not what.
        "_attn_implementation_autoset",
        "chunk_size_feed_forward",
        "output_attentions",
        "output_hidden_states",
        "output_past",
        "return_dict",
        "torchscript",
        "use_cache",
        # Said again elsewhere: by id2label, by the tokenizer.
        "_num_labels",
        "bos_token_id",
        "cls_token_id",
        "eos_token_id",
        "label2id",
        "model_max_length",
        "num_labels",
        "sep_token_id",
        # Left over from the first release in TensorFlow; no code reads them.
        "directionality",
        "pooler_fc_size",
        "pooler_num_attention_heads",
        "pooler_num_fc_layers",
        "pooler_size_per_head",
        "pooler_type",
    }
)
"""Keys met in published BERT files that change no number an encoder computes."""

_ACTIVATIONS: dict[str, Activation] = {
    "gelu": "gelu",
    "gelu_new": "gelu_new",
    "gelu_pytorch_tanh": "gelu_new",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}


class BertConfigFile(Schema):
    """The keys of ``config.json`` that decide what a BERT encoder and its classifier compute.

    The bounds of ``EncoderConfig`` hold: they stop a forged file before it costs anything.
    """

    model_type: Literal["bert"] = "bert"
    architectures: list[str] | None = None
    vocab_size: Vocabulary
    hidden_size: Width
    num_hidden_layers: Count
    num_attention_heads: Count
    intermediate_size: Width
    hidden_act: Literal["gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish"] = "gelu"
    hidden_dropout_prob: Rate = 0.1
    attention_probs_dropout_prob: Rate = 0.1
    classifier_dropout: Rate | None = None
    max_position_embeddings: int = Field(default=512, ge=1, le=1_000_000)
    type_vocab_size: int = Field(default=2, ge=1, le=1024)
    layer_norm_eps: float = Field(default=1e-12, gt=0, le=0.1)
    pad_token_id: int | None = Field(default=0, ge=0)
    position_embedding_type: Literal["absolute"] = "absolute"
    is_decoder: Literal[False] = False
    add_cross_attention: Literal[False] = False
    is_encoder_decoder: Literal[False] = False
    pruned_heads: dict[str, list[int]] = Field(default={}, max_length=0)
    id2label: dict[str, str] | None = None
    problem_type: (
        Literal["regression", "single_label_classification", "multi_label_classification"] | None
    ) = None

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "BertConfigFile":
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not divisible by "
                f"num_attention_heads {self.num_attention_heads}"
            )
        return self

    @field_validator("id2label")
    @classmethod
    def _ids_from_zero(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        if value is not None and set(value) != {str(i) for i in range(len(value))}:
            raise ValueError("the keys of id2label must be 0, 1, 2 and so on, without gaps")
        return value

    @property
    def labels(self) -> list[str] | None:
        """Names of the classes in the order of the logits, if the file says."""
        names = self.id2label
        return None if names is None else [names[str(i)] for i in range(len(names))]

    @property
    def has_classifier(self) -> bool:
        """Whether a ``classifier`` among the weights would be a sentence classifier."""
        return not self.architectures or CLASSIFIER in self.architectures

    @property
    def head_dropout(self) -> float:
        """Dropout before the classifier."""
        dropout = self.classifier_dropout
        return self.hidden_dropout_prob if dropout is None else dropout

    @property
    def encoder(self) -> EncoderConfig:
        """The same encoder in our words."""
        return EncoderConfig(
            vocab_size=self.vocab_size,
            d_model=self.hidden_size,
            num_layers=self.num_hidden_layers,
            num_heads=self.num_attention_heads,
            d_ff=self.intermediate_size,
            max_positions=self.max_position_embeddings,
            num_segments=self.type_vocab_size,
            activation=_ACTIVATIONS[self.hidden_act],
            norm_eps=self.layer_norm_eps,
            dropout=self.hidden_dropout_prob,
            attention_dropout=self.attention_probs_dropout_prob,
        )


def read_config(folder: Path) -> BertConfigFile:
    """Reads ``config.json`` of a model folder.

    Args:
        folder: A model folder.

    Returns:
        The checked values.

    Raises:
        DataError: If the model is of another family, or if a key is unknown, missing or out of
            bounds.
    """
    path = folder / CONFIG
    data = read_object(path)
    family = data.get("model_type")
    if family not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise DataError(
            f"model_type {shown(family)} is not supported",
            where=str(folder),
            fix=f"lowkey loads {known}",
        )
    return parse(
        BertConfigFile,
        data,
        path=path,
        harmless=lambda key, value: key in HARMLESS or value is None,
    )


def config_json(
    encoder: EncoderConfig,
    *,
    pad_token_id: int | None = 0,
    labels: Sequence[str] | None = None,
    problem_type: str | None = None,
    head_dropout: float | None = None,
) -> dict[str, Any]:
    """Describes an encoder, with a classifier if it has labels, in transformers' words.

    Args:
        encoder: The encoder.
        pad_token_id: Id that other libraries pad with; lowkey itself pads nothing.
        labels: Names of the classes in the order of the logits; None for an encoder alone.
        problem_type: How transformers chooses its loss, one of its three names.
        head_dropout: Rate before the classifier; the encoder's if None.

    Returns:
        What belongs into ``config.json``.
    """
    config: dict[str, Any] = {
        "architectures": ["BertModel" if labels is None else CLASSIFIER],
        "model_type": "bert",
        "vocab_size": encoder.vocab_size,
        "hidden_size": encoder.d_model,
        "num_hidden_layers": encoder.num_layers,
        "num_attention_heads": encoder.num_heads,
        "intermediate_size": encoder.d_ff,
        "hidden_act": encoder.activation,
        "hidden_dropout_prob": encoder.dropout,
        "attention_probs_dropout_prob": encoder.attention_dropout,
        "max_position_embeddings": encoder.max_positions,
        "type_vocab_size": encoder.num_segments,
        "layer_norm_eps": encoder.norm_eps,
        "pad_token_id": pad_token_id,
    }
    if labels is not None:
        config |= {
            "id2label": {str(i): label for i, label in enumerate(labels)},
            "label2id": {label: i for i, label in enumerate(labels)},
            "problem_type": problem_type,
            "classifier_dropout": head_dropout,
        }
    return config
