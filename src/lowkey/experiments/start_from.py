"""A translation that starts from trained weights: all of them train on, or a LoRA beside them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from lowkey import runtime
from lowkey.data.config import DataConfig
from lowkey.decoding.config import DecodeConfig
from lowkey.errors import ConfigError, shown
from lowkey.experiments.config import Tokenizers, TranslationRecipe
from lowkey.hf.model_folder import base_identity
from lowkey.lora.inject import inject
from lowkey.models.sizes import TransformerSizes
from lowkey.pipelines.bundle import Decoding, Facts
from lowkey.pipelines.published import find_start
from lowkey.pipelines.translator_files import Adaptation, TranslatorParts, family_of

_LEAVE_OUT = "leave out what stands under model and tokenizer: both come with start_from"


def start_from(
    recipe: TranslationRecipe, dtype: torch.dtype, say: Callable[[str], None]
) -> TranslatorParts:
    """Opens the checkpoint of a recipe and makes it trainable in the way of the method.

    Args:
        recipe: Names the checkpoint and the method.
        dtype: Precision of the activations; frozen weights are kept in it.
        say: Takes a line for the user.

    Returns:
        Model, tokenizers and the facts of the run that begins.

    Raises:
        ConfigError: If the recipe asks for other sizes or tokenizers than the checkpoint's, or
            for LoRA on modules that are not there, or if what it says of decoding does not fit
            what the checkpoint says of the rest.
        MissingInputError: If the checkpoint is not there.
        DataError: If it is damaged or no translation model.
    """
    name = str(recipe.start_from)
    folder = find_start(name)
    parts = TranslatorParts.open(folder)
    _refuse_contradictions(recipe, parts.model.config.model_dump(), name)
    adaptation = None
    if recipe.method == "lora":
        generator = runtime.generator(recipe.train.seed, "weights")
        say(str(inject(parts.model, recipe.lora, generator)))
        adaptation = Adaptation(recipe.lora, family_of(folder))
    for parameter in parts.model.parameters():
        if not parameter.requires_grad:
            # Frozen weights lose nothing by being kept in the precision they are used in.
            parameter.data = parameter.data.to(dtype)
    facts = Facts(
        kind="translation",
        task=recipe.metrics,
        method=recipe.method,
        max_length=_max_length(recipe.data, parts.facts.max_length, name),
        decode=_decoding(recipe.decode, parts.facts.decode or Decoding(), name),
        base_model=str(folder.resolve()) if Path(name).expanduser().exists() else name,
        base_sha256=base_identity(folder)["sha256"],
    )
    source, target = parts.source_tokenizer, parts.target_tokenizer
    return TranslatorParts(parts.model, source, target, facts, adaptation)


def _refuse_contradictions(recipe: TranslationRecipe, held: Mapping[str, Any], name: str) -> None:
    """Refuses sizes that are neither the default nor the checkpoint's, and tokenizers to train."""
    for key, value in _changed(recipe.model, TransformerSizes()).items():
        if key != "size" and value != held[key]:
            what = f"model.{key} is {shown(value)}, but {name} has {shown(held[key])}"
            raise ConfigError(what, fix=_LEAVE_OUT)
    if recipe.tokenizer != Tokenizers():
        what = f"tokenizer says how to make one, but start_from {name} has its own"
        raise ConfigError(what, fix=_LEAVE_OUT)


def _changed(config: Any, default: Any) -> dict[str, Any]:
    """Lists what is not at its default: a recipe on disk holds the defaults too."""
    standard = default.model_dump()
    return {key: value for key, value in config.model_dump().items() if value != standard[key]}


def _max_length(data: DataConfig, longest: int | None, name: str) -> int | None:
    if data.max_length and longest and data.max_length > longest:
        raise ConfigError(
            f"data.max_length is {data.max_length}, but {name} reads {longest} tokens",
            fix=f"set data.max_length to {longest} or less",
        )
    return data.max_length or longest


def _decoding(wanted: DecodeConfig, base: Decoding, name: str) -> Decoding:
    """Takes the checkpoint's way of decoding, with the keys that stand in the recipe.

    The bound of a run of ours comes from its own pairs, and new pairs may be longer.
    """
    said = wanted.model_dump(include=wanted.model_fields_set)
    try:
        return base.changed(**said | {"max_ratio": wanted.max_ratio})
    except ConfigError as error:
        what = f"{error.what}, with what {name} says where the recipe is silent"
        raise ConfigError(what, where="decode", fix=error.fix) from None
