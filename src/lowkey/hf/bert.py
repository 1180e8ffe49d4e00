"""Checkpoints of BERT's families: from a Hugging Face folder to our encoder and back."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from lowkey.hf.checkpoint import (
    complete,
    open_checkpoint,
    required_labels,
    saved_labels,
    their_state,
    write_checkpoint,
)
from lowkey.hf.config import config_json
from lowkey.hf.encoder_families import FAMILIES
from lowkey.models.encoder import Encoder
from lowkey.models.heads import SequenceClassifier


def load_encoder(folder: Path, *, generator: torch.Generator | None = None) -> Encoder:
    """Loads the encoder of a checkpoint of any family; its heads are left out.

    Args:
        folder: A model folder.
        generator: Draws the pooler where the checkpoint has none; torch's global one if None.

    Returns:
        The encoder, in fp32 and in training mode.

    Raises:
        MissingInputError: If the folder is no model folder.
        DataError: If config and weights are not of one family, or not the same model.
    """
    config, weights = open_checkpoint(folder)
    names = FAMILIES[config.model_type]
    with torch.device("meta"):
        encoder = Encoder(config.encoder)
    holder = nn.ModuleDict({"encoder": encoder})
    complete(holder, folder, weights, names, generator, without=names.adapters.heads)
    return encoder


def load_classifier(
    folder: Path, num_labels: int | None = None, *, generator: torch.Generator | None = None
) -> SequenceClassifier:
    """Loads a classifier; its head too, if the checkpoint has one for as many labels.

    Args:
        folder: A model folder.
        num_labels: Number of labels. A head that is missing or of another size is drawn anew.
            None takes the number from the checkpoint, which then must have a head.
        generator: Draws what is missing; torch's global one if None.

    Returns:
        The classifier, in fp32 and in training mode.

    Raises:
        MissingInputError: If the folder is no model folder.
        DataError: If config and weights are not of one family, or not the same model, or if no
            number of labels is given and there is no classifier.
    """
    config, weights = open_checkpoint(folder)
    names = FAMILIES[config.model_type]
    held = saved_labels(config, weights, names)
    if num_labels is None:
        num_labels = required_labels(held, folder, names)
    # A transform in front of the classifier takes the pooler's place.
    sizes = config.encoder.model_copy(
        update={"pooler": config.encoder.pooler and names.transform is None}
    )
    with torch.device("meta"):
        model = SequenceClassifier(
            Encoder(sizes),
            num_labels,
            config.head_dropout,
            transform=names.transform,
            transform_dropout=config.head_dropout if names.drops_before_transform else 0.0,
            transform_norm=names.pretrained_transform,
        )
    without = () if held == num_labels else names.drawn_with_labels
    complete(model, folder, weights, names, generator, without=without)
    return model


def save_encoder(encoder: Encoder, folder: Path, *, pad_token_id: int | None = 0) -> None:
    """Writes an encoder as transformers saves one of its family, such as a ``BertModel``.

    Args:
        encoder: The encoder, without unmerged adapters.
        folder: Where to write ``config.json`` and ``model.safetensors``; made if missing.
        pad_token_id: Id that other libraries pad with.

    Raises:
        ValueError: If an adapter is not merged.
        CannotWriteError: If a file cannot be written.
    """
    names = FAMILIES[encoder.config.family]
    theirs = their_state(nn.ModuleDict({"encoder": encoder}), names)
    bare = {name.removeprefix(names.adapters.root): tensor for name, tensor in theirs.items()}
    write_checkpoint(folder, config_json(encoder.config, pad_token_id=pad_token_id), bare)


def save_classifier(
    model: SequenceClassifier,
    folder: Path,
    *,
    labels: Sequence[str],
    problem_type: str = "single_label_classification",
    pad_token_id: int | None = 0,
) -> None:
    """Writes a classifier as transformers saves its family's, ``BertForSequenceClassification``.

    Args:
        model: The classifier, without unmerged adapters.
        folder: Where to write ``config.json`` and ``model.safetensors``; made if missing.
        labels: Names of the classes in the order of the logits.
        problem_type: transformers' name of the task: ``regression``,
            ``single_label_classification`` or ``multi_label_classification``.
        pad_token_id: Id that other libraries pad with.

    Raises:
        ValueError: If there are not as many labels as logits, or if an adapter is not merged.
        CannotWriteError: If a file cannot be written.
    """
    if len(labels) != model.classifier.out_features:
        raise ValueError(f"{len(labels)} labels for {model.classifier.out_features} logits")
    config = config_json(
        model.encoder.config,
        pad_token_id=pad_token_id,
        labels=labels,
        problem_type=problem_type,
        head_dropout=model.dropout.p,
    )
    write_checkpoint(folder, config, their_state(model, FAMILIES[model.encoder.config.family]))
