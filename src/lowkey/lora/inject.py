"""Puts LoRA into a model, and takes it into or out of the weights."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeGuard

import torch
from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from lowkey.errors import ConfigError, did_you_mean
from lowkey.lora.config import TARGET_PRESETS, LoRAConfig, layer_of, matches
from lowkey.lora.embedding import LoRAEmbedding, problem_with_tables
from lowkey.lora.layer import LoRALinear

Adapted = LoRALinear | LoRAEmbedding


@dataclass(frozen=True)
class InjectionReport:
    """What was adapted.

    Args:
        ranks: Rank of the update of each adapted module, by its name.
        adapter_parameters: Trainable parameters of the update alone: the sum of r (in + out), and
            with DoRA of out.
        bias_parameters: Trainable biases of the rest of the model.
        saved_parameters: Trainable parameters of the modules trained whole (the head).
        total_parameters: All parameters of the model, adapter included.
        method: What people call it: LoRA or DoRA.
        tables: Those of the adapted modules that are tables of embeddings, not linear maps.
    """

    ranks: dict[str, int]
    adapter_parameters: int
    bias_parameters: int
    saved_parameters: int
    total_parameters: int
    method: str = "LoRA"
    tables: tuple[str, ...] = ()

    @property
    def modules(self) -> list[str]:
        """Names of the adapted linear maps and tables."""
        return list(self.ranks)

    def __str__(self) -> str:
        """Says it in one line."""
        trainable = self.adapter_parameters + self.bias_parameters + self.saved_parameters
        biases = f" {self.bias_parameters:,} biases," if self.bias_parameters else ""
        head = f" {trainable:,} with the head," if self.saved_parameters else ""
        maps = [name for name in self.ranks if name not in self.tables]
        parts = [(maps, "linear map", ""), (self.tables, "table", " of embeddings")]
        adapted = " and ".join(_counted(names, *what) for names, *what in parts if names)
        least, most = min(self.ranks.values()), max(self.ranks.values())
        ranks = f"rank {least}" if least == most else f"ranks {least} to {most}"
        return (
            f"{self.method} adapts {adapted} at {ranks}:"
            f" {self.adapter_parameters:,} parameters,{biases}{head}"
            f" {trainable / self.total_parameters:.2%} of {self.total_parameters:,}"
        )


def _counted(names: Collection[str], what: str, rest: str) -> str:
    kinds = sorted({name.rsplit(".", 1)[-1] for name in names})
    return f"{len(names)} {what}{'s' * (len(names) > 1)}{rest} ({', '.join(kinds)})"


def inject(
    model: nn.Module, config: LoRAConfig, generator: torch.Generator | None = None
) -> InjectionReport:
    """Freezes a model and puts a low-rank update beside each targeted linear map and table.

    Names of existing parameters do not change. After it, exactly the updates, the biases that
    ``bias`` names and the modules of ``modules_to_save`` train.

    Args:
        model: Any module; changed in place.
        config: What to adapt, and how.
        generator: Source of randomness for the updates; torch's global one if None.

    Returns:
        What was adapted.

    Raises:
        ValueError: If the model has adapters already.
        ConfigError: If a target matches no linear map or table, a pattern no adapted one, if a
            layer or a module to save does not exist, if a weight has fewer singular values than
            ``pissa`` takes, or if a table cannot be adapted so.
    """
    if adapters(model):
        raise ValueError("the model has adapters already")
    modules = dict(model.named_modules())
    saved = [name for name in modules if any(matches(name, s) for s in config.modules_to_save)]
    inside = tuple(f"{name}." for name in saved)
    candidates = {
        name: module
        for name, module in modules.items()
        if _is_adaptable(module) and not f"{name}.".startswith(inside)
    }
    layers = config.layers
    _refuse_absent_layers(layers or (), {layer_of(name) for name in candidates})
    inside_layers = [name for name in candidates if layers is None or layer_of(name) in layers]
    chosen = [name for name in inside_layers if any(matches(name, t) for t in config.targets)]
    where = "module of this model" if layers is None else "module of the layers to transform"
    _refuse_unmatched(config.required, inside_layers, "target_modules", where, TARGET_PRESETS)
    _refuse_unmatched(config.modules_to_save, modules, "modules_to_save")
    for option in ("rank_pattern", "alpha_pattern"):
        _refuse_unmatched(getattr(config, option), chosen, option, "adapted module of this model")
    found = {name: candidates[name] for name in chosen}
    if problem := problem_with_tables(found, config):
        raise ConfigError(problem, where="lora.target_modules", fix="leave the table out")
    if config.init_lora_weights == "pissa":
        _refuse_ranks_without_values(found, config)
    model.requires_grad_(False)
    for name in chosen:
        parent, _, last = name.rpartition(".")
        update = _adapted(found[name], config.of_module(name), generator)
        setattr(model.get_submodule(parent), last, update)
    for name, parameter in model.named_parameters():
        if name.startswith(inside) or config.trains_bias(name, chosen):
            parameter.requires_grad_(True)
    return _report(model, config, inside)


def _adapted(
    module: nn.Linear | nn.Embedding, config: LoRAConfig, generator: torch.Generator | None
) -> nn.Module:
    if isinstance(module, nn.Linear):
        return LoRALinear(module, config, generator)
    return LoRAEmbedding(module, config, generator)


def _report(model: nn.Module, config: LoRAConfig, inside: tuple[str, ...]) -> InjectionReport:
    """Counts; ``inside`` is how the names of parameters of modules trained whole begin."""
    sizes = {name: p.numel() for name, p in model.named_parameters() if p.requires_grad}
    updates = sum(size for name, size in sizes.items() if ".lora_" in f".{name}")
    saved = sum(size for name, size in sizes.items() if name.startswith(inside))
    adapted = adapters(model)
    return InjectionReport(
        {name: module.rank for name, module in adapted.items()},
        adapter_parameters=updates,
        bias_parameters=sum(sizes.values()) - updates - saved,
        saved_parameters=saved,
        total_parameters=sum(p.numel() for p in model.parameters()),
        method="DoRA" if config.use_dora else "LoRA",
        tables=tuple(name for name, m in adapted.items() if isinstance(m, LoRAEmbedding)),
    )


def _is_adaptable(module: nn.Module) -> TypeGuard[nn.Linear | nn.Embedding]:
    """Tells linear maps from the one of torch's attention, which is never called itself."""
    return isinstance(module, nn.Linear | nn.Embedding) and not isinstance(
        module, NonDynamicallyQuantizableLinear
    )


def _refuse_absent_layers(layers: Iterable[int], there: Collection[int | None]) -> None:
    known = sorted(layer for layer in there if layer is not None)
    for layer in layers:
        if layer not in known:
            raise ConfigError(
                f"this model has no layer {layer}",
                where="lora.layers_to_transform",
                fix=f"there are {known[0]} to {known[-1]}" if known else "leave it out",
            )


def _refuse_ranks_without_values(
    modules: Mapping[str, nn.Linear | nn.Embedding], config: LoRAConfig
) -> None:
    for name, module in modules.items():
        rank, values = config.of_module(name).r, min(module.weight.shape)
        if rank > values:
            raise ConfigError(
                f"pissa takes {rank} singular values of each weight, {name} has {values}",
                where="lora.init_lora_weights",
                fix=f"set its rank to {values} or less, by lora.r or lora.rank_pattern",
            )


def _refuse_unmatched(
    targets: Iterable[str],
    modules: Iterable[str],
    option: str,
    kind: str = "module of this model",
    presets: Iterable[str] = (),
) -> None:
    """Refuses a name that is of no module, with the ones that come nearest."""
    modules = list(modules)
    for target in targets:
        if not any(matches(name, target) for name in modules):
            known = {name.rsplit(".", 1)[-1] for name in modules}
            known = {name for name in known if name and not name.isdigit()}
            nearest = did_you_mean(target, [*known, *presets])
            guess = f"did you mean {nearest}? " if nearest else ""
            raise ConfigError(
                f"{target!r} matches no {kind}",
                where=f"lora.{option}",
                fix=f"{guess}there are {', '.join(sorted(known))}",
            )


def adapters(model: nn.Module) -> dict[str, Adapted]:
    """Finds the adapted linear maps and tables of a model.

    Args:
        model: Any module.

    Returns:
        Each under its name.
    """
    return {name: m for name, m in model.named_modules() if isinstance(m, Adapted)}


def merge_all(model: nn.Module) -> None:
    """Adds every update to its weight; inference then costs what the base costs.

    Args:
        model: Any module.
    """
    for module in adapters(model).values():
        module.merge()


def unmerge_all(model: nn.Module) -> None:
    """Puts every original weight back, bit for bit.

    Args:
        model: Any module.
    """
    for module in adapters(model).values():
        module.unmerge()
