"""Finders of answers of BERT's families: from a Hugging Face folder to an encoder with two scores.

All families have the same head here, ``qa_outputs`` on the hidden states, ModernBERT ``classifier``
with its transform between: transformers calls the models ``BertForQuestionAnswering`` and so on,
peft the task ``QUESTION_ANS``.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import torch

from lowkey.hf.checkpoint import (
    complete,
    open_checkpoint,
    saved_labels,
    their_state,
    write_checkpoint,
)
from lowkey.hf.config import config_json
from lowkey.hf.encoder_families import FAMILIES, EncoderNames
from lowkey.hf.names import NameMap
from lowkey.models.config import EncoderFamily
from lowkey.models.encoder import Encoder
from lowkey.models.span_head import SpanClassifier

_HEAD = "qa_outputs"
_OTHER_HEADS = ("transform.dense", "classifier")


@cache
def answerer_names(family: EncoderFamily) -> EncoderNames:
    """Names the modules of a family's finder of answers.

    Args:
        family: The family, by its ``model_type``.

    Returns:
        Its names, for checkpoints and adapters.
    """
    names = FAMILIES[family]
    assert names.adapters.names is not None, "encoders have names of their own"
    title = f"{names.encoder.removesuffix('Model')}ForQuestionAnswering"
    adapters = replace(names.adapters, task_type="QUESTION_ANS", absent_modules=frozenset())
    if names.pretrained_transform:
        # peft lists this module whenever the task is QUESTION_ANS.
        adapters = replace(adapters, absent_modules=frozenset({_HEAD}))
        return replace(names, adapters=adapters, classifier=title)
    rows = [row for row in names.adapters.names.rows if row[0] not in _OTHER_HEADS]
    others = [head for head in names.other_heads if head != f"{_HEAD}."]
    adapters = replace(
        adapters,
        names=NameMap([*rows, ("classifier", _HEAD)]),
        heads=(f"{_HEAD}.",),
        saved_modules={_HEAD: ("classifier",)},
    )
    return replace(
        names,
        adapters=adapters,
        classifier=title,
        other_heads=(*others, *names.adapters.heads),
        transform=None,
    )


def load_answerer(folder: Path, *, generator: torch.Generator | None = None) -> SpanClassifier:
    """Loads a finder of answers; its head too, if the checkpoint has one.

    Args:
        folder: A model folder.
        generator: Draws a head that is missing; torch's global one if None.

    Returns:
        The model, in fp32 and in training mode, without a pooler.

    Raises:
        MissingInputError: If the folder is no model folder.
        DataError: If config and weights are not of one family, or not the same model.
    """
    config, weights = open_checkpoint(folder)
    names = answerer_names(config.model_type)
    sizes = config.encoder.model_copy(update={"pooler": False})
    with torch.device("meta"):
        model = SpanClassifier(Encoder(sizes), config.span_dropout, transform=names.transform)
    held = saved_labels(config, weights, names)
    without = () if held == model.classifier.out_features else names.drawn_with_labels
    complete(model, folder, weights, names, generator, without=without)
    return model


def save_answerer(model: SpanClassifier, folder: Path, *, pad_token_id: int | None = 0) -> None:
    """Writes a finder of answers as transformers saves one, ``BertForQuestionAnswering``.

    Args:
        model: The model, without unmerged adapters.
        folder: Where to write ``config.json`` and ``model.safetensors``; made if missing.
        pad_token_id: Id that other libraries pad with.

    Raises:
        ValueError: If an adapter is not merged.
        CannotWriteError: If a file cannot be written.
    """
    family = model.encoder.config.family
    names = answerer_names(family)
    config = config_json(model.encoder.config, pad_token_id=pad_token_id)
    config |= {"architectures": [names.classifier]}
    dropout = {"distilbert": "qa_dropout", "modernbert": "classifier_dropout"}.get(family)
    if dropout is not None:
        config[dropout] = model.dropout.p
    write_checkpoint(folder, config, their_state(model, names))
