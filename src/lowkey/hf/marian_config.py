"""``config.json`` of a Marian checkpoint, read strictly and written as transformers writes it."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lowkey.errors import DataError, shown
from lowkey.hf.activations import ACTIVATIONS, Theirs
from lowkey.hf.config import HARMLESS as HARMLESS_IN_BERT
from lowkey.hf.marian_generation import GENERATION_KEYS
from lowkey.hf.model_folder import CONFIG
from lowkey.hf.schema import Schema, parse, read_object
from lowkey.models.config import (
    Count,
    Rate,
    TransformerConfig,
    Vocabulary,
    Width,
    refuse_misfit,
)

MARIAN = "marian"
"""The value of ``model_type``."""

HARMLESS = HARMLESS_IN_BERT | {
    # Said again elsewhere: by the layers of both sides; by the tokenizer.
    "id2label",
    "num_hidden_layers",
    # How it was initialised and trained.
    "classif_dropout",
    "classifier_dropout",
    "init_std",
    # Left over from BART, whose first code Marian shared; no code of Marian reads them.
    "add_bias_logits",
    "extra_pos_embeddings",
}
"""Keys met in published Marian files that change no number the model computes."""

_Nothing = Annotated[float, Field(ge=0, le=0)]
_TokenId = Annotated[int, Field(ge=0, le=10_000_000)]


class MarianConfigFile(Schema):
    """The keys of ``config.json`` that decide what a Marian model computes.

    Marian normalises after each sub-layer alone. A file with a key of another order is refused.
    """

    model_type: Literal["marian"] = "marian"
    architectures: list[str] | None = None
    vocab_size: Vocabulary
    decoder_vocab_size: Vocabulary | None = None
    d_model: Width
    encoder_layers: Count
    decoder_layers: Count
    encoder_attention_heads: Count
    decoder_attention_heads: Count
    encoder_ffn_dim: Width
    decoder_ffn_dim: Width
    activation_function: Theirs = "gelu"
    max_position_embeddings: int = Field(default=1024, ge=1, le=1_000_000)
    dropout: Rate = 0.1
    attention_dropout: Rate = 0.0
    activation_dropout: Rate = 0.0
    scale_embedding: bool = False
    share_encoder_decoder_embeddings: bool = True
    tie_word_embeddings: bool = True
    decoder_start_token_id: _TokenId
    eos_token_id: _TokenId | Annotated[list[_TokenId], Field(min_length=1, max_length=1)]
    pad_token_id: _TokenId | None = None
    # What must be off (or on) for the model to be the one that we compute.
    encoder_layerdrop: _Nothing = 0
    decoder_layerdrop: _Nothing = 0
    normalize_before: Literal[False] = False
    normalize_embedding: Literal[False] = False
    layernorm_embedding: Literal[False] = False
    add_final_layer_norm: Literal[False] = False
    static_position_embeddings: Literal[True] = True
    is_encoder_decoder: Literal[True] = True
    is_decoder: Literal[False] = False
    add_cross_attention: Literal[False] = False
    force_bos_token_to_be_generated: Literal[False] = False
    pruned_heads: dict[str, list[int]] = Field(default={}, max_length=0)

    @model_validator(mode="after")
    def _parts_fit(self) -> "MarianConfigFile":
        heads = self.encoder_attention_heads, self.decoder_attention_heads
        refuse_misfit(self.d_model, *heads, "sinusoidal")
        if self.share_encoder_decoder_embeddings and self.vocab_size != self.target_vocab_size:
            sizes = f"vocab_size is {self.vocab_size}, decoder_vocab_size {self.target_vocab_size}"
            raise ValueError(f"share_encoder_decoder_embeddings needs one vocabulary, but {sizes}")
        for key, number in (
            ("decoder_start_token_id", self.decoder_start_token_id),
            ("eos_token_id", self.end_id),
            ("pad_token_id", self.pad_token_id or 0),
        ):
            if number >= self.target_vocab_size:
                rows = self.target_vocab_size
                raise ValueError(f"{key} {number} has no row among the {rows} of the targets")
        return self

    @property
    def target_vocab_size(self) -> int:
        """Number of target tokens."""
        return self.decoder_vocab_size or self.vocab_size

    @property
    def end_id(self) -> int:
        """The token that ends a sentence."""
        end = self.eos_token_id
        return end if isinstance(end, int) else end[0]

    @property
    def is_one_table(self) -> bool:
        """Whether sources, targets and outputs have one table; transformers asks for both keys."""
        return self.share_encoder_decoder_embeddings and self.tie_word_embeddings

    def transformer(self, *, share_embeddings: bool, output_bias: bool) -> TransformerConfig:
        """Describes the same model in our words.

        Args:
            share_embeddings: Whether sources and targets have one table.
            output_bias: Whether the weights hold a bias of the outputs.

        Returns:
            Its configuration.
        """
        return TransformerConfig(
            source_vocab_size=self.vocab_size,
            target_vocab_size=self.target_vocab_size,
            d_model=self.d_model,
            num_heads=self.encoder_attention_heads,
            num_encoder_layers=self.encoder_layers,
            num_decoder_layers=self.decoder_layers,
            d_ff=self.encoder_ffn_dim,
            decoder_num_heads=self.decoder_attention_heads,
            decoder_d_ff=self.decoder_ffn_dim,
            norm="post",
            positions="sinusoidal",
            sinusoids="halves",
            max_positions=self.max_position_embeddings,
            activation=ACTIVATIONS[self.activation_function],
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            activation_dropout=self.activation_dropout,
            scale_embeddings=self.scale_embedding,
            share_embeddings=share_embeddings,
            tie_embeddings=self.tie_word_embeddings,
            output_bias=output_bias,
        )


def is_marian(folder: Path) -> bool:
    """Tells whether a folder says of itself that it holds a Marian model.

    Args:
        folder: Any folder.

    Returns:
        Whether there is a ``config.json`` with that ``model_type``.

    Raises:
        DataError: If there is a ``config.json`` and it is no JSON object.
    """
    path = folder / CONFIG
    return path.is_file() and read_object(path).get("model_type") == MARIAN


def read_marian_config(folder: Path) -> MarianConfigFile:
    """Reads ``config.json`` of a Marian folder.

    Args:
        folder: A model folder.

    Returns:
        The checked values.

    Raises:
        MissingInputError: If there is no such file.
        DataError: If the model is of another family, or if a key is unknown, missing or out of
            bounds.
    """
    path = folder / CONFIG
    data = read_object(path)
    family = data.get("model_type")
    if family != MARIAN:
        raise DataError(
            f"model_type {shown(family)} is no translation model known here", where=str(folder)
        )
    return parse(
        MarianConfigFile,
        data,
        path=path,
        harmless=lambda key, value: key in HARMLESS | GENERATION_KEYS or value is None,
    )


def marian_json(
    config: TransformerConfig, *, begin_id: int, end_id: int, pad_id: int
) -> dict[str, Any]:
    """Describes a Transformer in transformers' words.

    Args:
        config: A configuration that Marian can have; see ``hf.marian.unlike_marian``.
        begin_id: The token that an output starts from.
        end_id: The token that ends a sentence.
        pad_id: Id that other libraries pad with; lowkey itself pads nothing.

    Returns:
        What belongs into ``config.json``.
    """
    return {
        "architectures": ["MarianMTModel"],
        "model_type": MARIAN,
        "vocab_size": config.source_vocab_size,
        "decoder_vocab_size": config.target_vocab_size,
        "d_model": config.d_model,
        "encoder_layers": config.num_encoder_layers,
        "decoder_layers": config.num_decoder_layers,
        "encoder_attention_heads": config.num_heads,
        "decoder_attention_heads": config.decoder_num_heads or config.num_heads,
        "encoder_ffn_dim": config.d_ff,
        "decoder_ffn_dim": config.decoder_d_ff or config.d_ff,
        "activation_function": "swish" if config.activation == "silu" else config.activation,
        "max_position_embeddings": config.max_positions,
        "dropout": config.dropout,
        "attention_dropout": config.attention_dropout,
        "activation_dropout": config.activation_dropout,
        "scale_embedding": config.scale_embeddings,
        # Without a tied output transformers would read two tables from a file that holds one.
        "share_encoder_decoder_embeddings": config.share_embeddings and config.tie_embeddings,
        "tie_word_embeddings": config.tie_embeddings,
        "is_encoder_decoder": True,
        "decoder_start_token_id": begin_id,
        "eos_token_id": end_id,
        "forced_eos_token_id": end_id,
        "pad_token_id": pad_id,
        "bos_token_id": None,
    }
