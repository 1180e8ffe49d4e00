"""The names of Marian's parameters, ours and Hugging Face's, and the exceptions we know of."""

from collections.abc import Collection

from lowkey.hf.names import NameMap

_BLOCK, _LAYER = "{side}_blocks.{{}}", "model.{side}.layers.{{}}"


def _attention(side: str, ours: str, theirs: str) -> list[tuple[str, str]]:
    block, layer = _BLOCK.format(side=side), _LAYER.format(side=side)
    parts = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "out": "out_proj"}
    rows = [(f"{block}.{ours}.{one}", f"{layer}.{theirs}.{other}") for one, other in parts.items()]
    return [*rows, (f"{block}.{ours}_norm", f"{layer}.{theirs}_layer_norm")]


def _feed_forward(side: str) -> list[tuple[str, str]]:
    block, layer = _BLOCK.format(side=side), _LAYER.format(side=side)
    return [
        (f"{block}.feed_forward.up", f"{layer}.fc1"),
        (f"{block}.feed_forward.down", f"{layer}.fc2"),
        (f"{block}.feed_forward_norm", f"{layer}.final_layer_norm"),
    ]


MARIAN_NAMES = NameMap(
    [
        ("source_embeddings.token", "model.encoder.embed_tokens"),
        ("target_embeddings.token", "model.decoder.embed_tokens"),
        *_attention("encoder", "attention", "self_attn"),
        *_feed_forward("encoder"),
        *_attention("decoder", "attention", "self_attn"),
        *_attention("decoder", "cross_attention", "encoder_attn"),
        *_feed_forward("decoder"),
        ("output", "lm_head"),
        ("output_bias", "final_logits_bias"),
    ]
)
"""Our ``Transformer`` and transformers' ``MarianMTModel``."""

SHARED = "model.shared.weight"
ENCODER_TABLE = "model.encoder.embed_tokens.weight"
DECODER_TABLE = "model.decoder.embed_tokens.weight"
OUTPUT_TABLE = "lm_head.weight"
SOURCE, TARGET, OUTPUT = (
    "source_embeddings.token.weight",
    "target_embeddings.token.weight",
    "output.weight",
)

POSITIONS = ("model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight")
"""The sinusoids, which transformers before 4.32 saved: computed here, and compared."""


def table_keys(keys: Collection[str], *, one_table: bool, tied: bool) -> dict[str, list[str]]:
    """Finds which keys of a file hold which of our tables.

    A table that several names share may be saved under one of them, or under each. Where sources
    and targets are shared and the output is not tied, transformers from 5 on has two tables (and
    ``model.shared`` is used by nothing), and saves them; older ones have and save one.

    Args:
        keys: The keys of the file.
        one_table: Whether sources, targets and outputs are one table.
        tied: Whether targets and outputs are one table.

    Returns:
        For each of our parameters the keys that hold it, of which the first is read; the others
        must equal it.
    """
    if one_table:
        tables = {SOURCE: [SHARED, ENCODER_TABLE, DECODER_TABLE, OUTPUT_TABLE]}
    elif tied:
        tables = {SOURCE: [ENCODER_TABLE], TARGET: [DECODER_TABLE, OUTPUT_TABLE]}
    elif {ENCODER_TABLE, DECODER_TABLE} & set(keys) or SHARED not in keys:
        tables = {SOURCE: [ENCODER_TABLE], TARGET: [DECODER_TABLE], OUTPUT: [OUTPUT_TABLE]}
    else:
        tables = {SOURCE: [SHARED], OUTPUT: [OUTPUT_TABLE]}
    return {name: [k for k in held if k in keys] or held[:1] for name, held in tables.items()}
