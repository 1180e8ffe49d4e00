"""What the checkpoints of all encoders have in common: opened, matched, filled in and written."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lowkey.errors import DataError
from lowkey.files import TensorInfo, write_json, write_tensors
from lowkey.hf.config import read_config
from lowkey.hf.encoder_families import FAMILIES, EncoderNames
from lowkey.hf.encoder_schemas import EncoderConfigFile
from lowkey.hf.model_folder import CONFIG, WEIGHTS, check_model_folder, make_folder
from lowkey.hf.parts import joined
from lowkey.hf.weights import Weights, check_budget, match, open_weights, read_matched
from lowkey.lora.inject import adapters

logger = logging.getLogger(__name__)

_POOLER, _CLASSIFIER = "encoder.pooler.", "classifier."
_HEAD = ("transform.", _CLASSIFIER, "prediction.")
_MISMATCH = "the download is incomplete, or config and weights are of two models"


def open_checkpoint(folder: Path) -> tuple[EncoderConfigFile, Weights]:
    """Reads config and headers, and compares their layers before a model is made of them.

    Args:
        folder: A model folder.

    Returns:
        The config, and the weights with the headers of their tensors.

    Raises:
        MissingInputError: If the folder is no model folder.
        DataError: If config and weights are not of one family, or hold other layers.
    """
    check_model_folder(folder)
    config = read_config(folder)
    names = FAMILIES[config.model_type]
    weights = open_weights(folder).in_parts(names.adapters.parts)
    root, layers = re.escape(names.adapters.root), re.escape(names.layers)
    layer = re.compile(rf"(?:{root})?{layers}\.([0-9]{{1,6}})\.")
    found = [int(hit[1]) for key in weights.infos if (hit := layer.match(key))]
    wanted, held = set(range(config.encoder.num_blocks)), set(found)
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
    return config, weights


def saved_labels(config: EncoderConfigFile, weights: Weights, names: EncoderNames) -> int | None:
    """Counts the labels of a classifier among the weights.

    Args:
        config: The config.
        weights: The weights.
        names: The names of the family, whose ``classifier`` says which kind of head is meant: those
            for texts and for words have the same names.

    Returns:
        How many labels it has; None if there is none, or one of another kind.
    """
    if config.architectures and names.classifier not in config.architectures:
        return None
    parts = (weights.infos.get(names.theirs(f"{_CLASSIFIER}{part}")) for part in ("weight", "bias"))
    return next((info.shape[0] for info in parts if info and info.shape), None)


def _fill(
    model: nn.Module,
    folder: Path,
    weights: Weights,
    infos: Mapping[str, TensorInfo],
    names: EncoderNames,
) -> None:
    """Puts some of the tensors into a model on the meta device; only whole heads may stay there."""
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    check_budget(shapes.values(), where=str(folder / CONFIG))
    pooled = any(name.startswith(_POOLER) for name in shapes)
    heads = tuple((part,) for part in _HEAD) if names.pretrained_transform else (_HEAD,)
    for part in ((_POOLER,), *heads):
        if not any(_is_of(part, key, names) for key in infos):
            shapes = {name: shape for name, shape in shapes.items() if not name.startswith(part)}

    def ours(key: str) -> str | None:
        # A pooler in front of a head that does without one is left out, as transformers does.
        return None if not pooled and _is_of((_POOLER,), key, names) else names.ours(key)

    keys = match(infos, shapes, ours, names.theirs, where=str(weights.path), fix=_MISMATCH)
    left_out = sorted(set(infos) - set(keys.values()))
    if left_out:
        logger.info("%s: left out %d tensors (%s, ...)", weights.path, len(left_out), left_out[0])
    model.load_state_dict(read_matched(weights, keys), strict=False, assign=True)


def _is_of(part: tuple[str, ...], key: str, names: EncoderNames) -> bool:
    try:
        return (names.ours(key) or "").startswith(part)
    except KeyError:
        return False


def required_labels(held: int | None, folder: Path, names: EncoderNames) -> int:
    """Takes the number of labels from a checkpoint where nobody names one.

    Args:
        held: How many its head has; None without a head.
        folder: The model folder, for messages.
        names: The names of its family.

    Returns:
        The number.

    Raises:
        DataError: If there is no head.
    """
    if not held:
        what = f"the model is no {names.classifier}"
        raise DataError(what, where=str(folder), fix="train it first")
    return held


def complete(
    model: nn.Module,
    folder: Path,
    weights: Weights,
    names: EncoderNames,
    generator: torch.Generator | None,
    *,
    without: tuple[str, ...] = (),
) -> None:
    """Puts the file's tensors into a model on the meta device, and draws the heads it lacks.

    Args:
        model: The model; changed in place.
        folder: A model folder.
        weights: Its weights.
        names: The names of its family.
        generator: Draws; torch's global one if None.
        without: First parts of the keys that are not to be taken.

    Raises:
        DataError: If a tensor is missing, is too many, or has another shape.
    """
    kept = {key: info for key, info in weights.infos.items() if not key.startswith(without)}
    _fill(model, folder, weights, kept, names)
    _draw_missing(model, folder, generator)


def _draw_missing(model: nn.Module, folder: Path, generator: torch.Generator | None) -> None:
    """Draws the heads a checkpoint lacks as BERT's were: deviation 0.02, biases 0, gains 1."""
    for name, parameter in list(model.named_parameters()):
        if not parameter.is_meta:
            continue
        drawn = torch.zeros(parameter.shape)
        if parameter.ndim == 1 and name.endswith(".weight"):
            drawn.fill_(1)
        elif name.endswith(".weight"):
            drawn.normal_(std=0.02, generator=generator)
            logger.info("%s: no %s for this task; starting it anew", folder, name)
        model.load_state_dict({name: drawn}, strict=False, assign=True)


def their_state(model: nn.Module, names: EncoderNames) -> dict[str, Tensor]:
    """Brings the parameters of a model under the names of its family, in fp32.

    Args:
        model: The model, without unmerged adapters.
        names: The names of its family.

    Returns:
        Its tensors.

    Raises:
        ValueError: If an adapter is not merged.
    """
    if not all(module.merged for module in adapters(model).values()):
        raise ValueError("merge the adapters first: a plain model has no place for them")
    state = model.state_dict()
    plain = {n: tensor.float() for n, tensor in state.items() if ".lora_" not in n}
    return joined({names.theirs(name): tensor for name, tensor in plain.items()})


def write_checkpoint(folder: Path, config: dict[str, Any], state: Mapping[str, Tensor]) -> None:
    """Writes a model folder.

    Args:
        folder: Where to write ``config.json`` and ``model.safetensors``; made if missing.
        config: What belongs into the one.
        state: And into the other.

    Raises:
        CannotWriteError: If a file cannot be written.
    """
    make_folder(folder)
    # transformers reads a file only if its metadata names the framework that wrote it.
    write_tensors(folder / WEIGHTS, state, {"format": "pt"})
    write_json(folder / CONFIG, config)
