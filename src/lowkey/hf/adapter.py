"""LoRA adapters in PEFT's files, both ways; the base weights are not in them."""

from collections.abc import Collection, Mapping
from pathlib import Path

from torch import nn

from lowkey.errors import DataError, MissingInputError, shown
from lowkey.files import TensorInfo, tensor_infos, write_json, write_tensors
from lowkey.hf.adapter_config import AdapterConfigFile, adapter_json, read_adapter_config
from lowkey.hf.adapter_families import BERT, Family
from lowkey.hf.model_folder import ADAPTER_CONFIG, make_folder
from lowkey.hf.weights import match, read_matched
from lowkey.lora.config import LoRAConfig, matches
from lowkey.lora.inject import adapters, inject

ADAPTER_WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model."
"""What peft's two wrappers put in front of every name."""


def save_adapter(
    model: nn.Module,
    folder: Path,
    *,
    lora_config: LoRAConfig,
    base_name: str,
    family: Family = BERT,
) -> None:
    """Writes the low-rank updates and the modules trained whole, as peft saves them.

    Args:
        model: A model that ``inject`` has adapted.
        folder: Where to write ``adapter_config.json`` and ``adapter_model.safetensors``; made if
            missing.
        lora_config: What the model was adapted with.
        base_name: Name or folder of the base model.
        family: What kind of model it is.

    Raises:
        ValueError: If the model has no adapter, or if a module to save is not one that adapters
            of this model can hold.
        CannotWriteError: If a file cannot be written.
    """
    adapted = adapters(model)
    saved = family.saved_names(lora_config.modules_to_save)
    if not adapted or saved is None:
        raise ValueError(
            f"cannot save {len(adapted)} adapted modules with {lora_config.modules_to_save}"
        )
    whole = tuple(f"{ours}." for name in saved for ours in family.saved_modules[name])
    state = model.state_dict()
    kept = [name for name in state if ".lora_" in name or name.startswith(whole)]
    # A parameter of the model itself, such as a bias of the outputs, is of no module.
    others = {name.rpartition(".")[0] for name in state if name not in kept} - adapted.keys() - {""}
    config = adapter_json(
        lora_config,
        target_modules=_endings(
            {family.theirs(name) for name in adapted}, {family.theirs(name) for name in others}
        ),
        modules_to_save=saved,
        base_name=base_name,
        task_type=family.task_type,
    )
    make_folder(folder)
    tensors = {PREFIX + family.theirs(name): state[name].float() for name in kept}
    write_tensors(folder / ADAPTER_WEIGHTS, tensors, {"format": "pt"})
    write_json(folder / ADAPTER_CONFIG, config)


def load_adapter(model: nn.Module, folder: Path, family: Family = BERT) -> LoRAConfig:
    """Adapts a model with what an adapter folder holds.

    Args:
        model: The base the adapter was trained on, without adapters; changed in place, and only
            once everything has been checked.
        folder: A folder with ``adapter_config.json`` and ``adapter_model.safetensors``.
        family: What kind of model it is.

    Returns:
        The adapter's options, with its targets by our full names.

    Raises:
        ValueError: If the model has adapters already.
        MissingInputError: If a file is missing.
        DataError: If the adapter is not one that lowkey can compute exactly, or not for this
            model: other modules, shapes, or tensors too few or too many.
    """
    if adapters(model):
        raise ValueError("the model has adapters already")
    config = read_adapter_config(folder)
    infos = tensor_infos(_weights_file(folder))
    whole = _modules_to_save(config, folder, family)
    inside = tuple(f"{module}." for module in whole)
    linears = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not f"{name}.".startswith(inside)
    }
    targets = _targets(config, linears, infos, folder, family)
    shapes = {n: tuple(p.shape) for n, p in model.state_dict().items() if n.startswith(inside)}
    for name in targets:
        shapes[f"{name}.lora_A.weight"] = (config.r, linears[name].in_features)
        shapes[f"{name}.lora_B.weight"] = (linears[name].out_features, config.r)
    path = folder / ADAPTER_WEIGHTS
    fix = "the adapter was made for another model, or its two files do not belong together"
    keys = match(
        infos,
        shapes,
        lambda key: family.ours(_without_prefix(key)),
        lambda name: PREFIX + family.theirs(name),
        where=str(path),
        fix=fix,
    )
    tensors = read_matched(path, keys)
    lora_config = LoRAConfig(
        r=config.r,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=targets,
        modules_to_save=[name.rpartition(".")[2] for name in whole],
        use_rslora=config.use_rslora,
    )
    inject(model, lora_config)
    model.load_state_dict(tensors, strict=False)
    return lora_config


def _without_prefix(key: str) -> str:
    name = key.removeprefix(PREFIX)
    if name == key:
        raise KeyError(key)
    return name


def _weights_file(folder: Path) -> Path:
    path = folder / ADAPTER_WEIGHTS
    pickled = path.with_suffix(".bin")
    if pickled.exists() and not path.exists():
        raise MissingInputError(
            f"{folder} holds only {pickled.name}, a pickle file that can run code when opened",
            fix="load it where you trust it with peft and call save_pretrained",
        )
    return path


def _modules_to_save(config: AdapterConfigFile, folder: Path, family: Family) -> list[str]:
    """The modules the adapter holds whole, by our names, each once."""
    wanted = dict.fromkeys(config.modules_to_save or [])
    for name in wanted:
        if name not in family.saved_modules and name not in family.absent_modules:
            raise DataError(
                f"modules_to_save holds {shown(name)}",
                where=str(folder / ADAPTER_CONFIG),
                fix=f"lowkey loads {', '.join(family.saved_modules) or 'none'}",
            )
    ours = (module for name in wanted for module in family.saved_modules.get(name, ()))
    return list(dict.fromkeys(ours))


def _targets(
    config: AdapterConfigFile,
    linears: Mapping[str, nn.Linear],
    infos: Mapping[str, TensorInfo],
    folder: Path,
    family: Family,
) -> list[str]:
    """The linear maps that ``target_modules`` names, by peft's rule for lists."""
    theirs = {family.theirs(name): name for name in linears}
    wanted = config.target_modules
    absent = [t for t in wanted if not any(matches(name, t) for name in theirs)]
    if absent:
        modules = [k.removesuffix(".lora_A.weight") for k in infos if k.endswith(".lora_A.weight")]
        places = sum(any(matches(module, t) for t in absent) for module in modules)
        known = sorted({name.rpartition(".")[2] for name in theirs})
        raise DataError(
            f"adapter {folder} wants modules {', '.join(absent[:4])} ({places} places); "
            "this model has none",
            fix=f"it was made for another family; {family.title} calls its linear maps"
            f" {', '.join(known)}",
        )
    return [ours for name, ours in theirs.items() if any(matches(name, t) for t in wanted)]


def _endings(chosen: Collection[str], others: Collection[str]) -> list[str]:
    """The shortest endings of names that match all of the chosen modules and none of the others."""
    endings = set()
    for name in chosen:
        parts = name.split(".")
        candidates = (".".join(parts[i:]) for i in reversed(range(len(parts))))
        endings.add(next(c for c in candidates if not any(matches(other, c) for other in others)))
    return sorted(endings)
