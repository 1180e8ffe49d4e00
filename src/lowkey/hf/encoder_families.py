"""The published families of encoders: their checkpoints, and how their classifiers are built.

What only a checkpoint has is named too, so that no key is passed over by accident.
"""

from collections.abc import Collection
from dataclasses import dataclass

from lowkey.hf.adapter_families import BERT, Family
from lowkey.hf.bert_names import OLD_ENDINGS
from lowkey.hf.family_names import ALBERT, DISTILBERT, ELECTRA, MODERNBERT, MPNET, ROBERTA
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
        pretrained_transform: Whether the map comes from pre-training: it has a normalisation behind
            it, stands in front of tags too, and is kept where the classifier is drawn anew.
    """

    adapters: Family
    encoder: str
    classifier: str
    layers: str
    other_heads: tuple[str, ...]
    transform: HeadActivation | None = None
    drops_before_transform: bool = False
    pretrained_transform: bool = False

    @property
    def drawn_with_labels(self) -> tuple[str, ...]:
        """First parts of the tensors that are of no use for other labels than those saved."""
        return ("classifier.",) if self.pretrained_transform else self.adapters.heads

    def brings_transform(self, keys: Collection[str]) -> bool:
        """Says whether a checkpoint holds the map in front of the classifier from pre-training.

        Args:
            keys: Names of its tensors.

        Returns:
            Whether it does; else the map begins with the classifier.
        """
        return self.pretrained_transform and self.theirs("transform.dense.weight") in keys

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


_BERT_LAYERS, _ANSWERS = "encoder.layer", "qa_outputs."


def _roberta(prefix: str) -> EncoderNames:
    """RoBERTa under one of the names that models of its architecture were published with."""
    return EncoderNames(
        adapters=ROBERTA,
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
        adapters=DISTILBERT,
        encoder="DistilBertModel",
        classifier="DistilBertForSequenceClassification",
        layers="transformer.layer",
        other_heads=("vocab_transform.", "vocab_layer_norm.", "vocab_projector.", _ANSWERS),
        transform="relu",
    ),
    "electra": EncoderNames(
        adapters=ELECTRA,
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
    "albert": EncoderNames(
        adapters=ALBERT,
        encoder="AlbertModel",
        classifier="AlbertForSequenceClassification",
        layers="encoder.albert_layer_groups.0.albert_layers",
        other_heads=("predictions.", "sop_classifier.", _ANSWERS),
    ),
    "mpnet": EncoderNames(
        adapters=MPNET,
        encoder="MPNetModel",
        classifier="MPNetForSequenceClassification",
        layers=_BERT_LAYERS,
        other_heads=("lm_head.", _ANSWERS),
        transform="tanh",
        drops_before_transform=True,
    ),
    "modernbert": EncoderNames(
        adapters=MODERNBERT,
        encoder="ModernBertModel",
        classifier="ModernBertForSequenceClassification",
        layers="layers",
        other_heads=("decoder.",),
        transform="gelu",
        pretrained_transform=True,
    ),
}
"""The families by the ``model_type`` of their ``config.json``."""
