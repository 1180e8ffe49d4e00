"""``config.json`` of an encoder, read strictly and written as transformers writes it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lowkey.errors import DataError, shown
from lowkey.hf.encoder_families import FAMILIES
from lowkey.hf.encoder_schemas import SCHEMAS, EncoderConfigFile
from lowkey.hf.model_folder import CONFIG
from lowkey.hf.schema import parse, read_object
from lowkey.models.config import EncoderConfig, EncoderFamily

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
        # ALBERT's: notes of its first release, and pieces of a network that it never had.
        "down_scale_factor",
        "gap_size",
        "net_structure_type",
        "num_memory_blocks",
        # ModernBERT's: how its head of pre-training and its kernels were.
        "decoder_bias",
        "deterministic_flash_attn",
        "initializer_cutoff_factor",
        "reference_compile",
        "repad_logits_with_grad",
        "sparse_pred_ignore_index",
        "sparse_prediction",
        # DistilBERT's: another head's dropout, and how its position table was first filled.
        "qa_dropout",
        "sinusoidal_pos_embds",
        # ELECTRA's head as transformers once described it; its code fixes all of it.
        "summary_activation",
        "summary_last_dropout",
        "summary_type",
        "summary_use_proj",
    }
)
"""Keys met in published files that change no number an encoder computes."""


_HEAD_DROPOUT: dict[EncoderFamily, str] = {
    "distilbert": "seq_classif_dropout",
    "albert": "classifier_dropout_prob",
}


def read_config(folder: Path) -> EncoderConfigFile:
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
    # Not SCHEMAS.get: what a file says may be a list, which has no hash.
    schema = next((s for name, s in SCHEMAS.items() if name == family), None)
    if schema is None:
        known = ", ".join(SCHEMAS)
        raise DataError(
            f"model_type {shown(family)} is not supported",
            where=str(folder),
            fix=f"lowkey loads {known}",
        )
    return parse(
        schema,
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
    names = FAMILIES[encoder.family]
    config: dict[str, Any] = {
        "architectures": [names.encoder if labels is None else names.classifier],
        "model_type": encoder.family,
        "vocab_size": encoder.vocab_size,
        "max_position_embeddings": encoder.max_positions + encoder.position_offset,
        "pad_token_id": encoder.position_offset - 1 if encoder.position_offset else pad_token_id,
    }
    config |= _KEYS.get(encoder.family, _like_bert)(encoder)
    if labels is not None:
        config |= {
            "id2label": {str(i): label for i, label in enumerate(labels)},
            "label2id": {label: i for i, label in enumerate(labels)},
            "problem_type": problem_type,
            _HEAD_DROPOUT.get(encoder.family, "classifier_dropout"): head_dropout,
        }
    return config


def _like_bert(encoder: EncoderConfig) -> dict[str, Any]:
    config = {
        "hidden_size": encoder.d_model,
        "num_hidden_layers": encoder.num_layers,
        "num_attention_heads": encoder.num_heads,
        "intermediate_size": encoder.d_ff,
        "hidden_act": encoder.activation,
        "hidden_dropout_prob": encoder.dropout,
        "attention_probs_dropout_prob": encoder.attention_dropout,
        "layer_norm_eps": encoder.norm_eps,
    }
    if encoder.num_segments:
        config["type_vocab_size"] = encoder.num_segments
    if encoder.family in ("electra", "albert"):
        config["embedding_size"] = encoder.embedding_size or encoder.d_model
    return config


def _distilbert(encoder: EncoderConfig) -> dict[str, Any]:
    return {
        "dim": encoder.d_model,
        "n_layers": encoder.num_layers,
        "n_heads": encoder.num_heads,
        "hidden_dim": encoder.d_ff,
        "activation": encoder.activation,
        "dropout": encoder.dropout,
        "attention_dropout": encoder.attention_dropout,
    }


def _modernbert(encoder: EncoderConfig) -> dict[str, Any]:
    """In the keys of its authors, which every version of transformers reads."""
    return {
        "hidden_size": encoder.d_model,
        "num_hidden_layers": encoder.num_layers,
        "num_attention_heads": encoder.num_heads,
        "intermediate_size": encoder.d_ff,
        "hidden_activation": encoder.activation,
        "norm_eps": encoder.norm_eps,
        "local_attention": 2 * (encoder.local_window or 0),
        "global_attn_every_n_layers": encoder.global_every,
        "global_rope_theta": encoder.rotary_base,
        "local_rope_theta": encoder.local_rotary_base,
        "classifier_pooling": "mean" if encoder.pooling == "mean" else "cls",
    }


_KEYS: dict[EncoderFamily, Callable[[EncoderConfig], dict[str, Any]]] = {
    "distilbert": _distilbert,
    "modernbert": _modernbert,
}
