"""The published families of encoders: what each calls its modules, and how its classifier is built.

One row of a table is one module of ours and one of theirs; what only a checkpoint has is named too,
so that no key is passed over by accident.
"""

from dataclasses import dataclass

from lowkey.hf.adapter_families import BERT, Family
from lowkey.hf.bert_names import BERT_NAMES, OLD_ENDINGS
from lowkey.hf.names import NameMap
from lowkey.models.config import EncoderFamily, HeadActivation


@dataclass(frozen=True)
class EncoderNames:
    """One family.

    Attributes:
        adapters: Its names, as adapters are saved under them.
        encoder: transformers' class of the encoder alone.
        classifier: transformers' class of the encoder with a classifier of texts.
        layers: What stands in front of a layer's number, without the root.
        other_heads: First parts of tensors that are no part of an encoder or a classifier: heads
            for pre-training, for answering questions.
        transform: Non-linearity of the map between the first token and the classifier; None: the
            pooler does its work.
        drops_before_transform: Whether there is dropout in front of that map.
    """

    adapters: Family
    encoder: str
    classifier: str
    layers: str
    other_heads: tuple[str, ...]
    transform: HeadActivation | None = None
    drops_before_transform: bool = False

    def theirs(self, name: str) -> str:
        """Translates our name of a module or parameter.

        Args:
            name: Our name.

        Returns:
            Theirs, the root in front.

        Raises:
            KeyError: If the table does not hold it.
        """
        return self.adapters.theirs(name)

    def ours(self, key: str) -> str | None:
        """Translates a key of a checkpoint, whatever its age and architecture.

        Args:
            key: Name of a tensor; a bare encoder saves it without the root.

        Returns:
            Our name of the parameter; None for a tensor that no encoder or classifier has.

        Raises:
            KeyError: If the key is none of the family's.
        """
        if key.startswith(self.other_heads):
            return None
        # 0, 1, 2 and so on: transformers before 4.31 saved this buffer.
        if key.removeprefix(self.adapters.root) == "embeddings.position_ids":
            return None
        for old, new in OLD_ENDINGS.items():
            if key.endswith(f".{old}"):
                key = key.removesuffix(old) + new
        return self.adapters.ours(key)


def _like_bert(root: str, head: list[tuple[str, str]], *, without: tuple[str, ...] = ()) -> NameMap:
    """The table of a family whose encoder has BERT's names under another root, and its own head."""
    rows = [
        (ours, theirs.replace("bert.", f"{root}.", 1))
        for ours, theirs in BERT_NAMES.rows
        if ours != "classifier" and ours not in without
    ]
    return NameMap([*rows, *head])


# dense, activation, out_proj: one module in these families' files, two in ours.
_DEEP_HEAD = [("transform.dense", "classifier.dense"), ("classifier", "classifier.out_proj")]
_DEEP_SAVED = {"classifier": ("transform", "classifier")}
# peft lists these whenever the task is SEQ_CLS, whether the model has them or not.
_ABSENT = frozenset({"score"})

_ROBERTA = Family(
    title="RoBERTa",
    task_type="SEQ_CLS",
    names=_like_bert("roberta", _DEEP_HEAD),
    root="roberta.",
    heads=("classifier.",),
    saved_modules=_DEEP_SAVED,
    absent_modules=_ABSENT,
)
_ELECTRA = Family(
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
_DISTILBERT = Family(
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

_BERT_LAYERS, _ANSWERS = "encoder.layer", "qa_outputs."


def _roberta(prefix: str) -> EncoderNames:
    """RoBERTa under one of the names that models of its architecture were published with."""
    return EncoderNames(
        adapters=_ROBERTA,
        encoder=f"{prefix}Model",
        classifier=f"{prefix}ForSequenceClassification",
        layers=_BERT_LAYERS,
        other_heads=("lm_head.", _ANSWERS),
        transform="tanh",
        drops_before_transform=True,
    )


FAMILIES: dict[EncoderFamily, EncoderNames] = {
    "bert": EncoderNames(
        adapters=BERT,
        encoder="BertModel",
        classifier="BertForSequenceClassification",
        layers=_BERT_LAYERS,
        other_heads=("cls.", _ANSWERS),
    ),
    "roberta": _roberta("Roberta"),
    "xlm-roberta": _roberta("XLMRoberta"),
    "camembert": _roberta("Camembert"),
    "distilbert": EncoderNames(
        adapters=_DISTILBERT,
        encoder="DistilBertModel",
        classifier="DistilBertForSequenceClassification",
        layers="transformer.layer",
        other_heads=("vocab_transform.", "vocab_layer_norm.", "vocab_projector.", _ANSWERS),
        transform="relu",
    ),
    "electra": EncoderNames(
        adapters=_ELECTRA,
        encoder="ElectraModel",
        classifier="ElectraForSequenceClassification",
        layers=_BERT_LAYERS,
        other_heads=(
            *("discriminator_predictions.", "generator_predictions.", "generator_lm_head."),
            _ANSWERS,
        ),
        transform="gelu",
        drops_before_transform=True,
    ),
}
"""The families by the ``model_type`` of their ``config.json``."""
