"""Taggers of BERT's families: from a Hugging Face folder to an encoder with a head for words.

All families have the same head here, ``classifier`` on the hidden states, ModernBERT with its
transform between: transformers calls the models ``BertForTokenClassification`` and so on, peft the
task ``TOKEN_CLS``.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch

from lowkey.hf.checkpoint import (
    complete,
    open_checkpoint,
    required_labels,
    saved_labels,
    their_state,
    write_checkpoint,
)
from lowkey.hf.config import config_json
from lowkey.hf.encoder_families import FAMILIES, EncoderNames
from lowkey.hf.names import NameMap
from lowkey.models.config import EncoderFamily
from lowkey.models.encoder import Encoder
from lowkey.models.heads import TokenClassifier

_OTHER_HEADS = ("transform.dense", "classifier")


@cache
def tagger_names(family: EncoderFamily) -> EncoderNames:
    """Names the modules of a family's tagger.

    Args:
        family: The family, by its ``model_type``.

    Returns:
        Its names, for checkpoints and adapters.
    """
    names = FAMILIES[family]
    assert names.adapters.names is not None, "encoders have names of their own"
    title = f"{names.encoder.removesuffix('Model')}ForTokenClassification"
    # peft lists this module whenever the task is TOKEN_CLS.
    absent = frozenset({"score"})
    adapters = replace(names.adapters, task_type="TOKEN_CLS", absent_modules=absent)
    if names.pretrained_transform:
        return replace(names, adapters=adapters, classifier=title)
    rows = [row for row in names.adapters.names.rows if row[0] not in _OTHER_HEADS]
    adapters = replace(
        adapters,
        names=NameMap([*rows, ("classifier", "classifier")]),
        saved_modules={"classifier": ("classifier",)},
    )
    return replace(
        names, adapters=adapters, classifier=title, transform=None, drops_before_transform=False
    )


def load_tagger(
    folder: Path, num_labels: int | None = None, *, generator: torch.Generator | None = None
) -> TokenClassifier:
    """Loads a tagger; its head too, if the checkpoint has one for words and as many labels.

    Args:
        folder: A model folder.
        num_labels: Number of labels. A head that is missing, of another size or for texts is drawn
            anew. None takes the number from the checkpoint, which then must have a head.
        generator: Draws what is missing; torch's global one if None.

    Returns:
        The tagger, in fp32 and in training mode, without a pooler.

    Raises:
        MissingInputError: If the folder is no model folder.
        DataError: If config and weights are not of one family, or not the same model, or if no
            number of labels is given and there is no head for words.
    """
    config, weights = open_checkpoint(folder)
    names = tagger_names(config.model_type)
    held = saved_labels(config, weights, names)
    if num_labels is None:
        num_labels = required_labels(held, folder, names)
    sizes = config.encoder.model_copy(update={"pooler": False})
    # DistilBERT has a rate for its classifier of texts and none for that of words.
    dropout = sizes.dropout if sizes.family == "distilbert" else config.head_dropout
    with torch.device("meta"):
        model = TokenClassifier(Encoder(sizes), num_labels, dropout, transform=names.transform)
    without = () if held == num_labels else names.drawn_with_labels
    complete(model, folder, weights, names, generator, without=without)
    return model


def save_tagger(
    model: TokenClassifier, folder: Path, *, labels: Sequence[str], pad_token_id: int | None = 0
) -> None:
    """Writes a tagger as transformers saves its family's, ``BertForTokenClassification``.

    Args:
        model: The tagger, without unmerged adapters.
        folder: Where to write ``config.json`` and ``model.safetensors``; made if missing.
        labels: Names of the tags in the order of the logits.
        pad_token_id: Id that other libraries pad with.

    Raises:
        ValueError: If there are not as many labels as logits, or if an adapter is not merged.
        CannotWriteError: If a file cannot be written.
    """
    if len(labels) != model.classifier.out_features:
        raise ValueError(f"{len(labels)} labels for {model.classifier.out_features} logits")
    names = tagger_names(model.encoder.config.family)
    config = config_json(
        model.encoder.config,
        pad_token_id=pad_token_id,
        labels=labels,
        head_dropout=model.dropout.p,
    )
    config |= {"architectures": [names.classifier]}
    del config["problem_type"]
    write_checkpoint(folder, config, their_state(model, names))
