"""LoRA adapters in PEFT's files, both ways; the base weights are not in them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from torch import nn

from lowkey.errors import MissingInputError
from lowkey.files import write_json, write_tensors
from lowkey.hf.adapter_config import AdapterConfigFile, adapter_json, read_adapter_config
from lowkey.hf.adapter_families import BERT, Family
from lowkey.hf.adapter_keys import AdapterKeys
from lowkey.hf.adapter_modules import (
    adapted_modules,
    endings,
    modules_held_whole,
    pattern,
    refuse_tables,
)
from lowkey.hf.adapter_parts import (
    Size,
    against_whole_modules,
    put_together,
    without_padding,
)
from lowkey.hf.model_folder import ADAPTER_CONFIG, make_folder
from lowkey.hf.parts import whole_name
from lowkey.hf.weights import Weights, match, read_matched
from lowkey.lora.config import LoRAConfig, first_match
from lowkey.lora.inject import adapters, inject
from lowkey.lora.layer import LoRALinear

V = TypeVar("V")

ADAPTER_WEIGHTS = "adapter_model.safetensors"


def save_adapter(
    model: nn.Module,
    folder: Path,
    *,
    lora_config: LoRAConfig,
    base_name: str,
    family: Family = BERT,
) -> None:
    """Writes the low-rank updates and the modules trained whole, as peft saves them.

    Updates that began as parts of the weights (``pissa``) are written as differences from the
    weights before, of twice the rank, so that no reader has to take the base apart again.

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
    state, lora_config = model.state_dict(), lora_config.against_base()
    for name, module in adapted.items():
        if isinstance(module, LoRALinear):
            a, b = module.factors_against_base()
            state |= {f"{name}.lora_A.weight": a, f"{name}.lora_B.weight": b}
    kept = [
        name
        for name in state
        if ".lora_" in name or name.startswith(whole) or lora_config.trains_bias(name, adapted)
    ]
    # A parameter of the model itself, such as a bias of the outputs, is of no module.
    rest = {name for name in state if name not in kept and "." in name}
    others = {
        whole_name(family.theirs(name).rpartition(".")[0])
        for name in rest
        if name.rpartition(".")[0] not in adapted
    }
    keys, own = AdapterKeys(family, adapted), {n: lora_config.of_module(n) for n in adapted}
    tensors, sizes = put_together(
        model,
        {keys.theirs(name): state[name].float() for name in kept},
        {family.theirs(name): Size(c.r, c.lora_alpha) for name, c in own.items()},
        lora_config,
        family,
    )
    config = adapter_json(
        lora_config,
        target_modules=endings(sizes, others - sizes.keys()),
        rank_pattern=pattern({name: size.r for name, size in sizes.items()}, lora_config.r),
        alpha_pattern=pattern(
            {name: size.lora_alpha for name, size in sizes.items()}, lora_config.lora_alpha
        ),
        modules_to_save=saved,
        base_name=base_name,
        task_type=family.task_type,
    )
    make_folder(folder)
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
    weights = Weights.of_file(_weights_file(folder)).in_parts(family.parts)
    whole = modules_held_whole(config, folder, family)
    inside = tuple(f"{module}." for module in whole)
    modules = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear | nn.Embedding)}
    targets = adapted_modules(config, modules, whole, weights.infos, folder, family)
    lora_config = _options(config, targets, whole, family)
    shapes = {
        name: tuple(tensor.shape)
        for name, tensor in model.state_dict().items()
        if name.startswith(inside) or lora_config.trains_bias(name, targets)
    }
    refuse_tables({name: modules[name] for name in targets}, lora_config, weights.infos, folder)
    for name in targets:
        shapes |= _shapes(name, modules[name], lora_config)
    fix = "the adapter was made for another model, or its two files do not belong together"
    names = AdapterKeys(family, targets, copies=config.bias == "all")
    keys = match(weights.infos, shapes, names.ours, names.theirs, where=str(weights.path), fix=fix)
    tensors, lora_config = against_whole_modules(
        model, read_matched(weights, keys), lora_config, family, where=folder
    )
    tensors, lora_config = without_padding(tensors, lora_config, family)
    inject(model, lora_config)
    model.load_state_dict(tensors, strict=False)
    return lora_config


def _shapes(
    name: str, module: nn.Linear | nn.Embedding, lora_config: LoRAConfig
) -> dict[str, tuple[int, ...]]:
    """The parameters that an update of one module has, by our names."""
    rank, out = lora_config.of_module(name).r, module.weight.shape[0]
    if isinstance(module, nn.Embedding):
        return {
            f"{name}.lora_embedding_A": (rank, out),
            f"{name}.lora_embedding_B": (module.embedding_dim, rank),
        }
    shapes: dict[str, tuple[int, ...]] = {
        f"{name}.lora_A.weight": (rank, module.in_features),
        f"{name}.lora_B.weight": (out, rank),
    }
    if lora_config.use_dora:
        shapes[f"{name}.lora_magnitude_vector"] = (out,)
    return shapes


def _options(
    config: AdapterConfigFile, targets: Sequence[str], whole: Sequence[str], family: Family
) -> LoRAConfig:
    """The options of an adapter in our names, with an entry for each module that departs."""
    return LoRAConfig(
        r=config.r,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=list(targets),
        modules_to_save=[name.rpartition(".")[2] for name in whole],
        use_rslora=config.use_rslora,
        use_dora=config.use_dora,
        bias=config.bias,
        # Of the others, nothing is left to see once there are weights.
        init_lora_weights="pissa" if config.init_lora_weights == "pissa" else True,
        rank_pattern=_own(config.rank_pattern, config.r, targets, family),
        alpha_pattern=_own(config.alpha_pattern, config.lora_alpha, targets, family),
    )


def _own(
    entries: Mapping[str, V] | None, usual: V, targets: Sequence[str], family: Family
) -> dict[str, V]:
    """What a pattern of theirs says of each target, by our names, where it is not the usual."""
    values = {name: first_match(entries or {}, family.module(name), usual) for name in targets}
    return {name: value for name, value in values.items() if value != usual}


def _weights_file(folder: Path) -> Path:
    path = folder / ADAPTER_WEIGHTS
    pickled = path.with_suffix(".bin")
    if pickled.exists() and not path.exists():
        raise MissingInputError(
            f"{folder} holds only {pickled.name}, a pickle file that can run code when opened",
            fix="load it where you trust it with peft and call save_pretrained",
        )
    return path
