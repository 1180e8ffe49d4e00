"""The names of BERT's parameters, ours and Hugging Face's, and the exceptions we know of."""

from lowkey.hf.names import NameMap

_OUR_BLOCK, _THEIR_BLOCK = "encoder.blocks.{}", "bert.encoder.layer.{}"
BERT_NAMES = NameMap(
    [
        ("encoder.embeddings.token", "bert.embeddings.word_embeddings"),
        ("encoder.embeddings.position", "bert.embeddings.position_embeddings"),
        ("encoder.embeddings.segment", "bert.embeddings.token_type_embeddings"),
        ("encoder.embeddings.norm", "bert.embeddings.LayerNorm"),
        (f"{_OUR_BLOCK}.attention.query", f"{_THEIR_BLOCK}.attention.self.query"),
        (f"{_OUR_BLOCK}.attention.key", f"{_THEIR_BLOCK}.attention.self.key"),
        (f"{_OUR_BLOCK}.attention.value", f"{_THEIR_BLOCK}.attention.self.value"),
        (f"{_OUR_BLOCK}.attention.out", f"{_THEIR_BLOCK}.attention.output.dense"),
        (f"{_OUR_BLOCK}.attention_norm", f"{_THEIR_BLOCK}.attention.output.LayerNorm"),
        (f"{_OUR_BLOCK}.feed_forward.up", f"{_THEIR_BLOCK}.intermediate.dense"),
        (f"{_OUR_BLOCK}.feed_forward.down", f"{_THEIR_BLOCK}.output.dense"),
        (f"{_OUR_BLOCK}.feed_forward_norm", f"{_THEIR_BLOCK}.output.LayerNorm"),
        ("encoder.pooler.dense", "bert.pooler.dense"),
        ("classifier", "classifier"),
    ]
)
"""Our ``SequenceClassifier`` and transformers' ``BertForSequenceClassification``."""

OLD_ENDINGS = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
"""Checkpoints converted from TensorFlow before 2019 keep its names for the norms."""

NOT_PARAMETERS = ("bert.embeddings.position_ids",)
"""0, 1, 2 and so on: transformers before 4.31 saved this buffer."""

OTHER_HEADS = ("cls.", "qa_outputs.")
"""Heads for pre-training and for answering questions: no part of an encoder or a classifier."""


def our_name(key: str) -> str | None:
    """Translates a key of a BERT checkpoint, whatever its age and architecture.

    Args:
        key: Name of a tensor; a bare ``BertModel`` saves it without the leading ``bert.``.

    Returns:
        Our name of the parameter; None for a tensor that no encoder or classifier has.

    Raises:
        KeyError: If the key is none of BERT's.
    """
    if key.startswith(OTHER_HEADS):
        return None
    if not key.startswith(("bert.", "classifier.")):
        key = f"bert.{key}"
    if key in NOT_PARAMETERS:
        return None
    for old, new in OLD_ENDINGS.items():
        if key.endswith(f".{old}"):
            key = key.removesuffix(old) + new
    return BERT_NAMES.ours(key)
