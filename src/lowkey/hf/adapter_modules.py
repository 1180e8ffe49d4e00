"""Which modules an adapter's names mean, by PEFT's rules, and the shortest names for ours."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from torch import nn

from lowkey.errors import DataError, shown
from lowkey.files import TensorInfo
from lowkey.hf.adapter_config import AdapterConfigFile
from lowkey.hf.adapter_families import Family
from lowkey.hf.model_folder import ADAPTER_CONFIG
from lowkey.hf.parts import whole_name
from lowkey.lora.config import LoRAConfig, matches
from lowkey.lora.embedding import problem_with_tables

V = TypeVar("V")


def modules_held_whole(config: AdapterConfigFile, folder: Path, family: Family) -> list[str]:
    """Finds the modules that an adapter holds whole.

    Args:
        config: Its options.
        folder: Its folder, for messages.
        family: What kind of model it is for.

    Returns:
        Their names, ours, each once.

    Raises:
        DataError: If the adapter holds another module than adapters of this family can.
    """
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


def adapted_modules(
    config: AdapterConfigFile,
    modules: Mapping[str, nn.Module],
    whole: Collection[str],
    infos: Mapping[str, TensorInfo],
    folder: Path,
    family: Family,
) -> list[str]:
    """Finds the linear maps and tables that an adapter is for, by peft's rule for names in lists.

    Targets inside a module that is held whole stay as they are: peft's "all-linear" lists them too.

    Args:
        config: Its options.
        modules: The linear maps and the tables of the model, by our names.
        whole: The modules that the adapter holds whole.
        infos: Header of its weights, for messages.
        folder: Its folder, for messages.
        family: What kind of model it is for.

    Returns:
        Our names.

    Raises:
        DataError: If a target matches none of them, or all are held whole.
    """
    theirs, inside = {n: family.module(n) for n in modules}, tuple(f"{n}." for n in whole)
    wanted = config.target_modules
    absent = [t for t in wanted if not any(matches(name, t) for name in theirs.values())]
    outside = {n: name for n, name in theirs.items() if not f"{n}.".startswith(inside)}
    if not absent and not any(matches(name, t) for name in outside.values() for t in wanted):
        absent = wanted
    if absent:
        held = [k.removesuffix(".lora_A.weight") for k in infos if k.endswith(".lora_A.weight")]
        places = sum(
            any(matches(module, t) for t in absent) for module in set(map(whole_name, held))
        )
        linears = (name for n, name in outside.items() if isinstance(modules[n], nn.Linear))
        known = sorted({name.rpartition(".")[2] for name in linears})
        raise DataError(
            f"adapter {folder} wants modules {', '.join(absent[:4])} ({places} places); "
            "this model has none",
            fix=f"it was made for another family; {family.title} calls its linear maps"
            f" {', '.join(known)}",
        )
    return [ours for ours, name in outside.items() if _is_target(name, config)]


def refuse_tables(
    modules: Mapping[str, nn.Module],
    config: LoRAConfig,
    infos: Mapping[str, TensorInfo],
    folder: Path,
) -> None:
    """Refuses adapters of tables of embeddings that cannot be computed exactly.

    Args:
        modules: The modules that the adapter is for, by our names.
        config: Its options.
        infos: Header of its weights.
        folder: Its folder, for messages.

    Raises:
        DataError: If a table is tied, if it is adapted in another way than by plain LoRA, or if
            the adapter also holds the whole table, as peft saves some.
    """
    if problem := problem_with_tables(modules, config):
        raise DataError(
            f"adapter {folder}: {problem}", fix="train it without the table in target_modules"
        )
    for key in infos:
        if key.endswith(".base_layer.weight"):
            raise DataError(
                f"adapter {folder} holds the whole table {key.removesuffix('.base_layer.weight')}",
                fix="save it with save_pretrained(..., save_embedding_layers=False)",
            )


def _is_target(name: str, config: AdapterConfigFile) -> bool:
    """Whether a module is one of the targets, by peft's rules for names and layers."""
    layers, patterns = config.layers_to_transform, config.layers_pattern or []
    layers = [layers] if isinstance(layers, int) else layers
    patterns = [patterns] if isinstance(patterns, str) else patterns
    # To peft, a module that is named whole is a target whatever the layers say.
    return name in config.target_modules or (
        any(matches(name, target) for target in config.target_modules)
        and (not layers or _layer(name, patterns) in layers)
    )


def _layer(name: str, patterns: Sequence[str]) -> int | None:
    """The number of a module's layer: the first one, behind a pattern if there are any."""
    parts = name.split(".")
    numbers = [i for i in range(2, len(parts) - 1) if parts[i].isdecimal()]
    if not patterns:
        return int(parts[numbers[0]]) if numbers else None
    for pattern in patterns:
        for i in (i for i in range(1, len(parts) - 1) if parts[i].isdecimal()):
            if matches(".".join(parts[:i]), pattern):
                return int(parts[i])
    return None


def endings(chosen: Collection[str], others: Collection[str]) -> list[str]:
    """Finds the shortest endings that match all of some names and none of others.

    Args:
        chosen: Full names.
        others: Full names, none of them chosen.

    Returns:
        The endings, sorted.

    Example:
        >>> endings(["0.attention.query", "1.attention.query"], ["0.attention.key"])
        ['query']
    """
    found = set()
    for name in chosen:
        parts = name.split(".")
        candidates = (".".join(parts[i:]) for i in reversed(range(len(parts))))
        found.add(next(c for c in candidates if not any(matches(other, c) for other in others)))
    return sorted(found)


def pattern(values: Mapping[str, V], usual: V) -> dict[str, V]:
    """Says which modules depart from a usual value, in names of which no two match one module.

    Args:
        values: The value of each module, by full name.
        usual: The value that needs no entry.

    Returns:
        The others, by the shortest endings of names.

    Example:
        >>> pattern({"0.query": 4, "1.query": 8, "1.key": 8}, 8)
        {'0.query': 4}
    """
    found = {}
    for value in dict.fromkeys(v for v in values.values() if v != usual):
        same = {name for name, own in values.items() if own == value}
        found |= dict.fromkeys(endings(same, values.keys() - same), value)
    return found
