"""Classifiers that read all tokens of a text, on encoders of BERT's families.

transformers has no class for them. Its files and peft's hold the encoder alone then, an adapter
under the task ``FEATURE_EXTRACTION``; the head is kept beside them.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import torch

from lowkey.hf.checkpoint import complete, open_checkpoint
from lowkey.hf.encoder_families import FAMILIES, EncoderNames
from lowkey.hf.names import NameMap
from lowkey.models.config import EncoderFamily
from lowkey.models.encoder import Encoder
from lowkey.models.heads import SequenceClassifier
from lowkey.nn.pooling import Summary

_HEADS = ("classifier", "transform.dense", "transform.norm", "encoder.pooler.dense")


@cache
def pooled_names(family: EncoderFamily) -> EncoderNames:
    """Names the modules of a family's encoder as an adapter of it alone does, without a root.

    Args:
        family: The family, by its ``model_type``.

    Returns:
        Its names, for adapters.
    """
    names = FAMILIES[family]
    table, root = names.adapters.names, names.adapters.root
    assert table is not None, "encoders have names of their own"
    rows = [(ours, theirs.removeprefix(root)) for ours, theirs in table.rows if ours not in _HEADS]
    adapters = replace(
        names.adapters,
        task_type="FEATURE_EXTRACTION",
        # The head has a name, so that adapters can be told that it is none of theirs.
        names=NameMap([*rows, ("classifier", "classifier")]),
        root="",
        heads=(),
        saved_modules={},
        absent_modules=frozenset(),
    )
    return replace(names, adapters=adapters)


def load_pooled(
    folder: Path, num_labels: int, how: Summary, *, generator: torch.Generator | None = None
) -> SequenceClassifier:
    """Loads an encoder and puts a new head on a summary of its tokens.

    Args:
        folder: A model folder; the heads in it are left out, for they read something else.
        num_labels: Number of labels.
        how: The summary.
        generator: Draws the head; torch's global one if None.

    Returns:
        The classifier, in fp32 and in training mode, without pooler and transform.

    Raises:
        MissingInputError: If the folder is no model folder.
        DataError: If config and weights are not of one family, or not the same model.
    """
    config, weights = open_checkpoint(folder)
    names = FAMILIES[config.model_type]
    sizes = config.encoder.model_copy(update={"pooler": False})
    with torch.device("meta"):
        model = SequenceClassifier(Encoder(sizes), num_labels, config.head_dropout, pooling=how)
    complete(model, folder, weights, names, generator, without=names.adapters.heads)
    return model
