"""Checkpoints of BERT's families: from a Hugging Face folder to our encoder and back."""

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lowkey.errors import DataError
from lowkey.files import TensorInfo, tensor_infos, write_json, write_tensors
from lowkey.hf.config import config_json, read_config
from lowkey.hf.encoder_families import FAMILIES, EncoderNames
from lowkey.hf.encoder_schemas import EncoderConfigFile
from lowkey.hf.model_folder import CONFIG, WEIGHTS, check_model_folder, make_folder
from lowkey.hf.weights import check_budget, match, read_matched
from lowkey.lora.inject import adapters
from lowkey.models.encoder import Encoder
from lowkey.models.heads import SequenceClassifier

logger = logging.getLogger(__name__)

_POOLER, _CLASSIFIER = "encoder.pooler.", "classifier."
_HEAD = ("transform.", _CLASSIFIER)
_MISMATCH = "the download is incomplete, or config and weights are of two models"


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
    config, infos = _open(folder)
    names = FAMILIES[config.model_type]
    with torch.device("meta"):
        encoder = Encoder(config.encoder)
    holder = nn.ModuleDict({"encoder": encoder})
    kept = {key: info for key, info in infos.items() if not key.startswith(names.adapters.heads)}
    _fill(holder, folder, kept, names)
    _draw_missing(holder, folder, generator)
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
    config, infos = _open(folder)
    names = FAMILIES[config.model_type]
    saved_labels = _saved_labels(config, infos, names)
    if num_labels is None:
        if not saved_labels:
            what = f"the model is no {names.classifier}"
            raise DataError(what, where=str(folder), fix="train it first")
        num_labels = saved_labels
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
        )
    if saved_labels != num_labels:
        infos = {k: info for k, info in infos.items() if not k.startswith(names.adapters.heads)}
    _fill(model, folder, infos, names)
    _draw_missing(model, folder, generator)
    return model


def _saved_labels(
    config: EncoderConfigFile, infos: Mapping[str, TensorInfo], names: EncoderNames
) -> int | None:
    """The labels of a classifier of texts among the weights; a tagger's head has the same name."""
    if config.architectures and names.classifier not in config.architectures:
        return None
    parts = (infos.get(names.theirs(f"{_CLASSIFIER}{part}")) for part in ("weight", "bias"))
    return next((info.shape[0] for info in parts if info and info.shape), None)


def _open(folder: Path) -> tuple[EncoderConfigFile, dict[str, TensorInfo]]:
    """Reads config and header, and compares their layers before a model is made of them."""
    check_model_folder(folder)
    config = read_config(folder)
    names = FAMILIES[config.model_type]
    infos = tensor_infos(folder / WEIGHTS)
    root, layers = re.escape(names.adapters.root), re.escape(names.layers)
    layer = re.compile(rf"(?:{root})?{layers}\.([0-9]{{1,6}})\.")
    found = [int(hit[1]) for key in infos if (hit := layer.match(key))]
    wanted, held = set(range(config.encoder.num_layers)), set(found)
    if wanted != held:
        verb, odd = ("missing", wanted - held) if wanted - held else ("too many", held - wanted)
        each = found.count(min(held)) if held else 0
        which = f"{min(odd)}" if len(odd) == 1 else f"{min(odd)}-{max(odd)}"
        raise DataError(
            f"config.json says {len(wanted)} layers, the weights hold {len(held)} "
            f"({verb}: {names.layers}.{which}.*, {len(odd) * each} tensors)",
            where=str(folder),
            fix=_MISMATCH,
        )
    return config, infos


def _fill(
    model: nn.Module, folder: Path, infos: Mapping[str, TensorInfo], names: EncoderNames
) -> None:
    """Puts the file's tensors into a model on the meta device; only whole heads may stay there."""
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    check_budget(shapes.values(), where=str(folder / CONFIG))
    pooled = any(name.startswith(_POOLER) for name in shapes)
    for part in (_POOLER, _HEAD):
        if not any(_is_of(part, key, names) for key in infos):
            shapes = {name: shape for name, shape in shapes.items() if not name.startswith(part)}

    def ours(key: str) -> str | None:
        # A pooler in front of a head that does without one is left out, as transformers does.
        return None if not pooled and _is_of(_POOLER, key, names) else names.ours(key)

    path = folder / WEIGHTS
    keys = match(infos, shapes, ours, names.theirs, where=str(path), fix=_MISMATCH)
    left_out = sorted(set(infos) - set(keys.values()))
    if left_out:
        logger.info("%s: left out %d tensors (%s, ...)", path, len(left_out), left_out[0])
    model.load_state_dict(read_matched(path, keys), strict=False, assign=True)


def _is_of(part: str | tuple[str, ...], key: str, names: EncoderNames) -> bool:
    try:
        return (names.ours(key) or "").startswith(part)
    except KeyError:
        return False


def _draw_missing(model: nn.Module, folder: Path, generator: torch.Generator | None) -> None:
    """Draws the heads a checkpoint lacks as BERT's were: weights of deviation 0.02, biases 0."""
    for name, parameter in list(model.named_parameters()):
        if not parameter.is_meta:
            continue
        drawn = torch.zeros(parameter.shape)
        if name.endswith(".weight"):
            drawn.normal_(std=0.02, generator=generator)
            logger.info("%s: no %s for this task; starting it anew", folder, name)
        model.load_state_dict({name: drawn}, strict=False, assign=True)


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
    theirs = _their_state(nn.ModuleDict({"encoder": encoder}), names)
    bare = {name.removeprefix(names.adapters.root): tensor for name, tensor in theirs.items()}
    _save(folder, config_json(encoder.config, pad_token_id=pad_token_id), bare)


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
    _save(folder, config, _their_state(model, FAMILIES[model.encoder.config.family]))


def _their_state(model: nn.Module, names: EncoderNames) -> dict[str, Tensor]:
    if not all(module.merged for module in adapters(model).values()):
        raise ValueError("merge the adapters first: a plain model has no place for them")
    state = model.state_dict()
    return {names.theirs(n): tensor.float() for n, tensor in state.items() if ".lora_" not in n}


def _save(folder: Path, config: dict[str, Any], state: Mapping[str, Tensor]) -> None:
    make_folder(folder)
    # transformers reads a file only if its metadata names the framework that wrote it.
    write_tensors(folder / WEIGHTS, state, {"format": "pt"})
    write_json(folder / CONFIG, config)
