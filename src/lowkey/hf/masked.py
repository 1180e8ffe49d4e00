"""Masked-language models of BERT's families: from a Hugging Face folder to ours and back.

transformers calls them ``BertForMaskedLM`` and so on. Their last map is the embedding table; a file
that holds it once more must hold the same numbers.
"""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch

from lowkey.errors import DataError
from lowkey.hf.checkpoint import (
    complete,
    open_checkpoint,
    their_state,
    write_checkpoint,
)
from lowkey.hf.config import config_json
from lowkey.hf.encoder_families import FAMILIES, EncoderNames
from lowkey.hf.names import NameMap
from lowkey.hf.weights import Weights, open_weights
from lowkey.models.config import Activation, EncoderFamily
from lowkey.models.encoder import Encoder
from lowkey.models.masked import MaskedLanguageModel

_CLASSIFIERS = ("transform.dense", "classifier")
_TOKENS = "encoder.embeddings.token.weight"


@dataclass(frozen=True)
class _Head:
    """What a family calls the parts of this head.

    Attributes:
        dense: Its map.
        norm: Its norm.
        output: Its last map, which files may hold although it is the embedding table.
        bias: The bias of the tokens.
        root: First parts of all these names.
        others: First parts of further tensors of the family that no such model has.
        activation: Non-linearity; None: that of the encoder.
    """

    dense: str
    norm: str
    output: str
    bias: str
    root: tuple[str, ...]
    others: tuple[str, ...] = ()
    activation: Activation | None = None


_BERT = _Head(
    dense="cls.predictions.transform.dense",
    norm="cls.predictions.transform.LayerNorm",
    output="cls.predictions.decoder",
    bias="cls.predictions.bias",
    root=("cls.",),
    others=("cls.seq_relationship.",),
)
_ROBERTA = _Head(
    dense="lm_head.dense",
    norm="lm_head.layer_norm",
    output="lm_head.decoder",
    bias="lm_head.bias",
    root=("lm_head.",),
    activation="gelu",
)
_HEADS: dict[str, _Head] = {
    "bert": _BERT,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "distilbert": _Head(
        dense="vocab_transform",
        norm="vocab_layer_norm",
        output="vocab_projector",
        bias="vocab_projector.bias",
        root=("vocab_transform.", "vocab_layer_norm.", "vocab_projector."),
        others=("pre_classifier.",),
    ),
    # That of the generator; a discriminator has learned another task and has no such head.
    "electra": _Head(
        dense="generator_predictions.dense",
        norm="generator_predictions.LayerNorm",
        output="generator_lm_head",
        bias="generator_lm_head.bias",
        root=("generator_predictions.", "generator_lm_head."),
        others=("discriminator_predictions.",),
        activation="gelu",
    ),
}


@cache
def masked_names(family: EncoderFamily) -> EncoderNames:
    """Names the modules of a family's masked-language model.

    Args:
        family: The family, by its ``model_type``.

    Returns:
        Its names, for checkpoints and adapters.

    Raises:
        DataError: If the head of this family is not known here.
    """
    head = _HEADS.get(family)
    if head is None:
        raise DataError(
            f"the head of {family} for masked tokens is not supported",
            fix=f"task mlm knows {', '.join(_HEADS)}",
        )
    names = FAMILIES[family]
    assert names.adapters.names is not None, "encoders have names of their own"
    rows = [row for row in names.adapters.names.rows if row[0] not in _CLASSIFIERS]
    rows += [("prediction.dense", head.dense), ("prediction.norm", head.norm)]
    repeated = {f"{head.output}.weight", f"{head.output}.bias"} - {head.bias}
    adapters = replace(
        names.adapters,
        # peft has no name for this task, and needs none to load the adapter.
        task_type=None,
        names=NameMap([*rows, ("prediction.bias", head.bias)]),
        heads=head.root,
        saved_modules={},
        absent_modules=frozenset(),
        repeated=frozenset(repeated),
    )
    return replace(
        names,
        adapters=adapters,
        classifier=f"{names.encoder.removesuffix('Model')}ForMaskedLM",
        other_heads=(*head.others, *sorted(repeated), "classifier.", "qa_outputs."),
    )


def holds_prediction(folder: Path, family: EncoderFamily) -> bool:
    """Says whether a checkpoint brings the head for masked tokens.

    Args:
        folder: A model folder.
        family: Its family.

    Returns:
        Whether it does.
    """
    return masked_names(family).theirs("prediction.dense.weight") in open_weights(folder).infos


def load_masked(folder: Path, *, generator: torch.Generator | None = None) -> MaskedLanguageModel:
    """Loads a masked-language model; a head that the checkpoint lacks is drawn anew.

    Args:
        folder: A model folder.
        generator: Draws what is missing; torch's global one if None.

    Returns:
        The model, in fp32 and in training mode, without a pooler.

    Raises:
        MissingInputError: If the folder is no model folder.
        DataError: If config and weights are not of one family, or not the same model, if its family
            has no such head, or if its last map is another than its embeddings.
    """
    config, weights = open_checkpoint(folder)
    names = masked_names(config.model_type)
    head = _HEADS[config.model_type]
    _refuse_untied(weights, names, f"{head.output}.weight")
    sizes = config.encoder.model_copy(update={"pooler": False})
    with torch.device("meta"):
        model = MaskedLanguageModel(Encoder(sizes), head.activation)
    complete(model, folder, weights, names, generator)
    return model


def _refuse_untied(weights: Weights, names: EncoderNames, key: str) -> None:
    """Refuses a last map that is not the embedding table, where a file holds one."""
    if key not in weights.infos:
        return
    table = names.theirs(_TOKENS)
    table = table if table in weights.infos else table.removeprefix(names.adapters.root)
    held = weights.read({key, table} & weights.infos.keys())
    if table in held and not torch.equal(held[key], held[table]):
        raise DataError(
            f"{key} is another table than that of the embeddings, and here the two are one",
            where=str(weights.path),
            fix="train it with transformers, or give a model that ties them",
        )


def save_masked(model: MaskedLanguageModel, folder: Path, *, pad_token_id: int | None = 0) -> None:
    """Writes a masked-language model as transformers saves its family's, ``BertForMaskedLM``.

    Args:
        model: The model, without unmerged adapters.
        folder: Where to write ``config.json`` and ``model.safetensors``; made if missing.
        pad_token_id: Id that other libraries pad with.

    Raises:
        ValueError: If an adapter is not merged.
        CannotWriteError: If a file cannot be written.
    """
    names = masked_names(model.encoder.config.family)
    config = config_json(model.encoder.config, pad_token_id=pad_token_id)
    config |= {"architectures": [names.classifier]}
    write_checkpoint(folder, config, their_state(model, names))
