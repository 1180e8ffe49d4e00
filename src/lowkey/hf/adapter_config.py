"""``adapter_config.json`` of a PEFT LoRA adapter, read strictly and written as peft writes it."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from lowkey.errors import DataError, shown
from lowkey.hf.model_folder import ADAPTER_CONFIG
from lowkey.hf.schema import Schema, parse, read_object
from lowkey.lora.config import MAX_ALPHA, MAX_RANK, LoRAConfig, doubles

HARMLESS = frozenset(
    {
        # Notes about where the file comes from.
        "auto_mapping",
        "inference_mode",
        "peft_version",
        "revision",
        # Options of features that are refused when they are on.
        "ensure_weight_tying",
        "megatron_core",
        "qalora_group_size",
        "runtime_config",
    }
)
"""Keys that change no number by themselves."""

_MODULE_NAME = r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$"
Name = Annotated[str, Field(pattern=_MODULE_NAME, max_length=200)]
Rank = Annotated[int, Field(ge=1, le=MAX_RANK)]
Alpha = Annotated[float, Field(gt=0, le=MAX_ALPHA)]
Layer = Annotated[int, Field(ge=0, le=10_000)]


def _literal(option: str, value: object) -> object:
    """Refuses a pattern that holds more than names; no expression is evaluated to find out."""
    for name in value if isinstance(value, dict) else ():
        if not re.fullmatch(_MODULE_NAME, name):
            raise ValueError(
                f"{option} holds {shown(name)}, which peft reads as a regular expression;"
                " lowkey takes names of modules and their last parts"
            )
    return value


class AdapterConfigFile(Schema):
    """The keys of ``adapter_config.json`` that decide what a LoRA adapter computes.

    peft 0.21 has 35 keys. Those absent here must be at a value that means "off".
    """

    peft_type: Literal["LORA"]
    task_type: str | None = None
    base_model_name_or_path: str | None = None
    r: Rank
    lora_alpha: Alpha
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: list[Name] = Field(min_length=1, max_length=10_000)
    modules_to_save: list[Name] | None = None
    use_rslora: bool = False
    use_dora: bool = False
    rank_pattern: Annotated[
        dict[Name, Rank] | None, BeforeValidator(partial(_literal, "rank_pattern"))
    ] = Field(default=None, max_length=10_000)
    alpha_pattern: Annotated[
        dict[Name, Alpha] | None, BeforeValidator(partial(_literal, "alpha_pattern"))
    ] = Field(default=None, max_length=10_000)
    layers_to_transform: Layer | list[Layer] | None = None
    layers_pattern: Name | list[Name] | None = None
    bias: Literal["none", "all", "lora_only"] = "none"
    fan_in_fan_out: Literal[False] = False
    # pissa changes the base weights in a way that follows from them. Others do so by chance or by
    # data, and the adapter alone then means nothing.
    init_lora_weights: Literal[True, False, "gaussian", "orthogonal", "pissa"] = True

    @field_validator("target_modules", mode="before")
    @classmethod
    def _names_only(cls, value: object) -> object:
        if isinstance(value, str):
            raise ValueError(
                f"target_modules is the text {shown(value)}, which peft reads as a regular "
                "expression; lowkey takes a list of module names"
            )
        return value

    @model_validator(mode="after")
    def _pissa_can_be_saved(self) -> "AdapterConfigFile":
        ranks = (self.r, *(self.rank_pattern or {}).values())
        alphas = (self.lora_alpha, *(self.alpha_pattern or {}).values())
        if self.init_lora_weights == "pissa" and not doubles(ranks, alphas):
            raise ValueError("r or lora_alpha of a pissa is more than half of what lowkey takes")
        return self


def read_adapter_config(folder: Path) -> AdapterConfigFile:
    """Reads ``adapter_config.json`` of an adapter folder.

    Args:
        folder: An adapter folder.

    Returns:
        The checked values.

    Raises:
        MissingInputError: If there is no such file.
        DataError: If the adapter is no LoRA, uses a variant of LoRA that lowkey does not have, or
            has values out of bounds.
    """
    path = folder / ADAPTER_CONFIG
    data = read_object(path)
    kind = data.get("peft_type")
    if kind != "LORA":
        raise DataError(
            f"peft_type {shown(kind)} is not supported", where=str(path), fix="lowkey loads LORA"
        )
    return parse(AdapterConfigFile, data, path=path, harmless=_is_off)


def _is_off(key: str, value: Any) -> bool:
    return key in HARMLESS or value is None or value is False or value in ({}, [], "")


def adapter_json(
    config: LoRAConfig,
    *,
    target_modules: Sequence[str],
    modules_to_save: Sequence[str],
    rank_pattern: Mapping[str, int],
    alpha_pattern: Mapping[str, float],
    base_name: str,
    task_type: str | None,
) -> dict[str, Any]:
    """Describes an adapter in peft's words.

    Args:
        config: Rank, scaling and dropout.
        target_modules: The adapted modules, by their Hugging Face names or unique endings of them.
        modules_to_save: The modules saved whole, by their names.
        rank_pattern: Ranks that differ from the usual one, by names like those of the targets.
        alpha_pattern: Values of lora_alpha that do.
        base_name: Name or folder of the model it was trained on.
        task_type: peft's name of the task, such as ``SEQ_CLS``; None where it has none.

    Returns:
        What belongs into ``adapter_config.json``.
    """
    return {
        "peft_type": "LORA",
        "task_type": task_type,
        "base_model_name_or_path": base_name,
        "inference_mode": True,
        "r": config.r,
        "lora_alpha": _whole(config.lora_alpha),
        "lora_dropout": config.lora_dropout,
        "target_modules": list(target_modules),
        "modules_to_save": list(modules_to_save) or None,
        "use_rslora": config.use_rslora,
        "use_dora": config.use_dora,
        "rank_pattern": dict(rank_pattern),
        "alpha_pattern": {name: _whole(alpha) for name, alpha in alpha_pattern.items()},
        "bias": config.bias,
        "fan_in_fan_out": False,
        "init_lora_weights": True,
    }


def _whole(alpha: float | int) -> float | int:
    """Keeps a whole number one in the file: peft's type for it is int."""
    return int(alpha) if alpha == int(alpha) else alpha
