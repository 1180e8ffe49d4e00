"""What each published family of encoders calls its modules, beside BERT itself.

One row of a table is one module of ours and one of theirs, or several of ours that are one of
theirs.
"""

from lowkey.hf.adapter_families import Family
from lowkey.hf.bert_names import BERT_NAMES
from lowkey.hf.names import NameMap


def _like_bert(root: str, head: list[tuple[str, str]], *, without: tuple[str, ...] = ()) -> NameMap:
    """The table of a family whose encoder has BERT's names under another root, and its own head."""
    rows = [
        (ours, theirs.replace("bert.", f"{root}.", 1))
        for ours, theirs in BERT_NAMES.rows
        if ours not in ("classifier", *without)
    ]
    return NameMap([*rows, *head])


# dense, activation, out_proj: one module in these families' files, two in ours.
_DEEP_HEAD = [("transform.dense", "classifier.dense"), ("classifier", "classifier.out_proj")]
_DEEP_SAVED = {"classifier": ("transform", "classifier")}
# peft lists these whenever the task is SEQ_CLS, whether the model has them or not.
_ABSENT = frozenset({"score"})

ROBERTA = Family(
    title="RoBERTa",
    task_type="SEQ_CLS",
    names=_like_bert("roberta", _DEEP_HEAD),
    root="roberta.",
    heads=("classifier.",),
    saved_modules=_DEEP_SAVED,
    absent_modules=_ABSENT,
)
ELECTRA = Family(
    title="ELECTRA",
    task_type="SEQ_CLS",
    names=_like_bert(
        "electra",
        [("encoder.embeddings.projection", "electra.embeddings_project"), *_DEEP_HEAD],
        without=("encoder.pooler.dense",),
    ),
    root="electra.",
    heads=("classifier.",),
    saved_modules=_DEEP_SAVED,
    absent_modules=_ABSENT,
)
_OUR_BLOCK, _DISTIL_BLOCK = "encoder.blocks.{}", "distilbert.transformer.layer.{}"
DISTILBERT = Family(
    title="DistilBERT",
    task_type="SEQ_CLS",
    names=NameMap(
        [
            ("encoder.embeddings.token", "distilbert.embeddings.word_embeddings"),
            ("encoder.embeddings.position", "distilbert.embeddings.position_embeddings"),
            ("encoder.embeddings.norm", "distilbert.embeddings.LayerNorm"),
            (f"{_OUR_BLOCK}.attention.query", f"{_DISTIL_BLOCK}.attention.q_lin"),
            (f"{_OUR_BLOCK}.attention.key", f"{_DISTIL_BLOCK}.attention.k_lin"),
            (f"{_OUR_BLOCK}.attention.value", f"{_DISTIL_BLOCK}.attention.v_lin"),
            (f"{_OUR_BLOCK}.attention.out", f"{_DISTIL_BLOCK}.attention.out_lin"),
            (f"{_OUR_BLOCK}.attention_norm", f"{_DISTIL_BLOCK}.sa_layer_norm"),
            (f"{_OUR_BLOCK}.feed_forward.up", f"{_DISTIL_BLOCK}.ffn.lin1"),
            (f"{_OUR_BLOCK}.feed_forward.down", f"{_DISTIL_BLOCK}.ffn.lin2"),
            (f"{_OUR_BLOCK}.feed_forward_norm", f"{_DISTIL_BLOCK}.output_layer_norm"),
            ("transform.dense", "pre_classifier"),
            ("classifier", "classifier"),
        ]
    ),
    root="distilbert.",
    heads=("classifier.", "pre_classifier."),
    # peft takes every module whose name ends in "classifier" for one that "classifier" names.
    saved_modules=_DEEP_SAVED | {"pre_classifier": ("transform",)},
    absent_modules=_ABSENT,
)

_ALBERT_BLOCK = "albert.encoder.albert_layer_groups.0.albert_layers.0"
ALBERT = Family(
    title="ALBERT",
    task_type="SEQ_CLS",
    names=NameMap(
        [
            ("encoder.embeddings.token", "albert.embeddings.word_embeddings"),
            ("encoder.embeddings.position", "albert.embeddings.position_embeddings"),
            ("encoder.embeddings.segment", "albert.embeddings.token_type_embeddings"),
            ("encoder.embeddings.norm", "albert.embeddings.LayerNorm"),
            ("encoder.embeddings.projection", "albert.encoder.embedding_hidden_mapping_in"),
            # One block for all layers.
            ("encoder.blocks.0.attention.query", f"{_ALBERT_BLOCK}.attention.query"),
            ("encoder.blocks.0.attention.key", f"{_ALBERT_BLOCK}.attention.key"),
            ("encoder.blocks.0.attention.value", f"{_ALBERT_BLOCK}.attention.value"),
            ("encoder.blocks.0.attention.out", f"{_ALBERT_BLOCK}.attention.dense"),
            ("encoder.blocks.0.attention_norm", f"{_ALBERT_BLOCK}.attention.LayerNorm"),
            ("encoder.blocks.0.feed_forward.up", f"{_ALBERT_BLOCK}.ffn"),
            ("encoder.blocks.0.feed_forward.down", f"{_ALBERT_BLOCK}.ffn_output"),
            ("encoder.blocks.0.feed_forward_norm", f"{_ALBERT_BLOCK}.full_layer_layer_norm"),
            ("encoder.pooler.dense", "albert.pooler"),
            ("classifier", "classifier"),
        ]
    ),
    root="albert.",
    heads=("classifier.",),
    saved_modules={"classifier": ("classifier",), "pooler": ("encoder.pooler",)},
    absent_modules=_ABSENT,
)

_MPNET_BLOCK = "mpnet.encoder.layer.{}"
MPNET = Family(
    title="MPNet",
    task_type="SEQ_CLS",
    names=NameMap(
        [
            ("encoder.embeddings.token", "mpnet.embeddings.word_embeddings"),
            ("encoder.embeddings.position", "mpnet.embeddings.position_embeddings"),
            ("encoder.embeddings.norm", "mpnet.embeddings.LayerNorm"),
            ("encoder.relative_bias.table", "mpnet.encoder.relative_attention_bias"),
            (f"{_OUR_BLOCK}.attention.query", f"{_MPNET_BLOCK}.attention.attn.q"),
            (f"{_OUR_BLOCK}.attention.key", f"{_MPNET_BLOCK}.attention.attn.k"),
            (f"{_OUR_BLOCK}.attention.value", f"{_MPNET_BLOCK}.attention.attn.v"),
            (f"{_OUR_BLOCK}.attention.out", f"{_MPNET_BLOCK}.attention.attn.o"),
            (f"{_OUR_BLOCK}.attention_norm", f"{_MPNET_BLOCK}.attention.LayerNorm"),
            (f"{_OUR_BLOCK}.feed_forward.up", f"{_MPNET_BLOCK}.intermediate.dense"),
            (f"{_OUR_BLOCK}.feed_forward.down", f"{_MPNET_BLOCK}.output.dense"),
            (f"{_OUR_BLOCK}.feed_forward_norm", f"{_MPNET_BLOCK}.output.LayerNorm"),
            ("encoder.pooler.dense", "mpnet.pooler.dense"),
            *_DEEP_HEAD,
        ]
    ),
    root="mpnet.",
    heads=("classifier.",),
    saved_modules=_DEEP_SAVED,
    absent_modules=_ABSENT,
)

_MODERN_BLOCK = "model.layers.{}"
MODERNBERT = Family(
    title="ModernBERT",
    task_type="SEQ_CLS",
    names=NameMap(
        [
            ("encoder.embeddings.token", "model.embeddings.tok_embeddings"),
            ("encoder.embeddings.norm", "model.embeddings.norm"),
            (f"{_OUR_BLOCK}.attention_norm", f"{_MODERN_BLOCK}.attn_norm"),
            (
                tuple(f"{_OUR_BLOCK}.attention.{name}" for name in ("query", "key", "value")),
                f"{_MODERN_BLOCK}.attn.Wqkv",
            ),
            (f"{_OUR_BLOCK}.attention.out", f"{_MODERN_BLOCK}.attn.Wo"),
            (f"{_OUR_BLOCK}.feed_forward_norm", f"{_MODERN_BLOCK}.mlp_norm"),
            (
                tuple(f"{_OUR_BLOCK}.feed_forward.{name}" for name in ("gate", "up")),
                f"{_MODERN_BLOCK}.mlp.Wi",
            ),
            (f"{_OUR_BLOCK}.feed_forward.down", f"{_MODERN_BLOCK}.mlp.Wo"),
            ("encoder.norm", "model.final_norm"),
            ("transform.dense", "head.dense"),
            ("transform.norm", "head.norm"),
            ("classifier", "classifier"),
        ]
    ),
    root="model.",
    heads=("classifier.", "head."),
    saved_modules={"classifier": ("classifier",), "head": ("transform",)},
    absent_modules=_ABSENT,
)
