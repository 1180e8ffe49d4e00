"""The names of BERT's modules, ours and Hugging Face's; other families keep most of them."""

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
