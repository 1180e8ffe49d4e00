"""Marian checkpoints (OPUS-MT and its kin): from a Hugging Face folder to our Transformer and back.

References:
    Junczys-Dowmunt et al., "Marian: Fast Neural Machine Translation in C++", 2018.
    Tiedemann & Thottingal, "OPUS-MT: Building open translation services for the World", 2020.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from lowkey.errors import DataError, shown
from lowkey.files import TensorInfo, write_json, write_tensors
from lowkey.hf.marian_config import MarianConfigFile, marian_json, read_marian_config
from lowkey.hf.marian_generation import GENERATION, GenerationFile, generation_json
from lowkey.hf.marian_names import (
    MARIAN_NAMES,
    OUTPUT_TABLE,
    POSITIONS,
    SHARED,
    SOURCE,
    TARGET,
    table_keys,
)
from lowkey.hf.model_folder import CONFIG, WEIGHTS, check_model_folder, make_folder
from lowkey.hf.weights import DTYPES, Weights, check_budget, match, open_weights, read_matched
from lowkey.lora.inject import adapters
from lowkey.models.transformer import Transformer
from lowkey.nn.positions import SinusoidalPositions, sinusoidal_table

_MISMATCH = "the download is incomplete, or config and weights are of two models"
_BIAS = "output_bias"
_BIAS_KEY = MARIAN_NAMES.theirs(_BIAS)
# Half precision keeps three digits of a sine.
_ROUNDING = 1e-3


def load_marian(folder: Path) -> Transformer:
    """Loads a ``MarianMTModel``.

    Args:
        folder: A model folder.

    Returns:
        The model, in fp32 and in training mode. The row of the padding token, which is also the
        token that outputs start from, is a row like any other.

    Raises:
        MissingInputError: If the folder is no model folder.
        DataError: If config and weights are not a Marian model, or not the same one, or if the
            file has positions that are not sinusoids.
    """
    check_model_folder(folder)
    config, weights = read_marian_config(folder), open_weights(folder)
    infos = weights.infos
    _refuse_other_layers(config, infos, folder)
    tables = table_keys(infos, one_table=config.is_one_table, tied=config.tie_word_embeddings)
    sizes = config.transformer(
        share_embeddings=TARGET not in tables, output_bias=_BIAS_KEY in infos
    )
    with torch.device("meta"):
        model = Transformer(sizes)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.named_parameters()}
    check_budget(shapes.values(), where=str(folder / CONFIG))
    if _BIAS in shapes:
        shapes[_BIAS] = (1, *shapes[_BIAS])
    keys = match(
        infos,
        shapes,
        lambda key: _our_name(key, tables),
        lambda name: tables[name][0] if name in tables else MARIAN_NAMES.theirs(name),
        where=str(weights.path),
        fix=_MISMATCH,
    )
    tensors = read_matched(weights, keys)
    _refuse_unequal_copies(tables, tensors, weights)
    _refuse_other_positions(config, weights)
    if _BIAS in tensors:
        tensors[_BIAS] = tensors[_BIAS].squeeze(0)
    model.load_state_dict(tensors, strict=False, assign=True)
    for embeddings in (model.source_embeddings, model.target_embeddings):
        # The one buffer follows from the sizes; what was laid out above holds no numbers.
        embeddings.position = SinusoidalPositions(sizes.d_model, sizes.sinusoids)
    return model


def _our_name(key: str, tables: Mapping[str, list[str]]) -> str | None:
    """Translates a key; None for copies and sinusoids, which are compared but not loaded."""
    for name, held in tables.items():
        if key in held:
            return name if key == held[0] else None
    if key in POSITIONS:
        return None
    if key == SHARED and len(tables) == 3:
        return None  # transformers keeps it beside the tables that it computes with
    if key == SHARED or (key == OUTPUT_TABLE and "output.weight" not in tables):
        raise KeyError(key)
    return MARIAN_NAMES.ours(key)


def _refuse_other_layers(
    config: MarianConfigFile, infos: Mapping[str, TensorInfo], folder: Path
) -> None:
    """Compares the layers of config and header before a model is made of them."""
    for side, wanted in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
        layer = re.compile(rf"model\.{side}\.layers\.([0-9]{{1,6}})\.")
        held = {int(hit[1]) for key in infos if (hit := layer.match(key))}
        if held != set(range(wanted)):
            raise DataError(
                f"config.json says {wanted} {side} layers, the weights hold {len(held)}",
                where=str(folder),
                fix=_MISMATCH,
            )


def _refuse_unequal_copies(
    tables: Mapping[str, list[str]], tensors: Mapping[str, Tensor], weights: Weights
) -> None:
    """Refuses tables that the config calls one and the file holds twice, differently."""
    for name, (read, *copies) in tables.items():
        for key in copies:
            copy = weights.read([key])[key].float()
            if not torch.equal(copy, tensors[name]):
                raise DataError(
                    f"{shown(key)} and {shown(read)} differ, but config.json says they are one",
                    where=str(weights.path),
                    fix=_MISMATCH,
                )


def _refuse_other_positions(config: MarianConfigFile, weights: Weights) -> None:
    """Refuses positions that were trained, or that are in another order."""
    infos = weights.infos
    for key in POSITIONS:
        if key not in infos:
            continue
        shape = (config.max_position_embeddings, config.d_model)
        if infos[key].shape == shape and infos[key].dtype in DTYPES:
            found = weights.read([key])[key].float()
            if torch.allclose(found, sinusoidal_table(*shape, "halves"), rtol=0, atol=_ROUNDING):
                continue
        raise DataError(
            f"{shown(key)} is no table of {shape[0]} sinusoids",
            where=str(weights.path),
            fix="positions of Marian are computed, and cannot be others",
        )


def save_marian(
    model: Transformer,
    folder: Path,
    *,
    generation: GenerationFile,
    begin_id: int,
    end_id: int,
    pad_id: int,
    longest: int = 0,
) -> None:
    """Writes a Transformer as transformers saves a ``MarianMTModel``.

    Args:
        model: A model that Marian can be, with sinusoids in halves and without unmerged adapters.
        folder: Where to write ``config.json``, ``generation_config.json`` and
            ``model.safetensors``; made if missing.
        generation: How it is decoded.
        begin_id: The token that an output starts from.
        end_id: The token that ends a sentence.
        pad_id: Id that other libraries pad with.
        longest: Most tokens of a text. Sinusoids have no end, but transformers makes a table of
            them that has.

    Raises:
        ValueError: If an adapter is not merged, or if Marian cannot be such a model.
        CannotWriteError: If a file cannot be written.
    """
    if not all(module.merged for module in adapters(model).values()):
        raise ValueError("merge the adapters first: a plain Marian model has no place for them")
    config = model.config
    if config.sinusoids != "halves" or (reason := unlike_marian(model)):
        raise ValueError(f"Marian cannot be this model: {reason or 'its sinusoids take turns'}")
    ids = {"begin_id": begin_id, "end_id": end_id, "pad_id": pad_id}
    make_folder(folder)
    # transformers reads a file only if its metadata names the framework that wrote it.
    write_tensors(folder / WEIGHTS, _their_state(model), {"format": "pt"})
    sized = config.model_copy(update={"max_positions": max(config.max_positions, longest)})
    write_json(folder / CONFIG, marian_json(sized, **ids))
    write_json(folder / GENERATION, generation_json(generation, **ids))


def unlike_marian(model: Transformer) -> str | None:
    """Finds what of a model Marian cannot have; the order of sinusoids can be changed.

    Args:
        model: The model.

    Returns:
        The first such choice as key and value, or None.
    """
    config = model.config
    checks = {
        "norm": config.norm == "post",
        "positions": config.positions == "sinusoidal",
        "gated": not config.gated,
    }
    return next(
        (f"{k} {shown(getattr(config, k))}" for k, fits in checks.items() if not fits), None
    )


def _their_state(model: Transformer) -> dict[str, Tensor]:
    """Every parameter once; a table that all share under the name that transformers gives it."""
    config = model.config
    one_table = config.share_embeddings and config.tie_embeddings
    state = {}
    for name, tensor in model.named_parameters():
        if ".lora_" not in name:
            state[SHARED if one_table and name == SOURCE else MARIAN_NAMES.theirs(name)] = (
                tensor.detach().float()
            )
    if config.share_embeddings and not one_table:
        state[MARIAN_NAMES.theirs(TARGET)] = state[MARIAN_NAMES.theirs(SOURCE)].clone()
    bias = state.get(_BIAS_KEY, torch.zeros(config.target_vocab_size))
    state[_BIAS_KEY] = bias.unsqueeze(0)
    return state
