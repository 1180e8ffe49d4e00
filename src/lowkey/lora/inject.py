"""Puts LoRA into a model, and takes it into or out of the weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard

import torch
from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from lowkey.errors import ConfigError, did_you_mean
from lowkey.lora.config import TARGET_PRESETS, LoRAConfig, matches
from lowkey.lora.layer import LoRALinear


@dataclass(frozen=True)
class InjectionReport:
    """What was adapted.

    Args:
        modules: Names of the adapted linear maps.
        adapter_parameters: Trainable parameters of the update alone: the sum of r (in + out).
        saved_parameters: Trainable parameters of the modules trained whole (the head).
        total_parameters: All parameters of the model, adapter included.
    """

    modules: list[str]
    adapter_parameters: int
    saved_parameters: int
    total_parameters: int

    def __str__(self) -> str:
        """Says it in one line."""
        trainable = self.adapter_parameters + self.saved_parameters
        head = f" {trainable:,} with the head," if self.saved_parameters else ""
        kinds = sorted({name.rsplit(".", 1)[-1] for name in self.modules})
        return (
            f"LoRA adapts {len(self.modules)} linear maps ({', '.join(kinds)}):"
            f" {self.adapter_parameters:,} parameters,{head}"
            f" {trainable / self.total_parameters:.2%} of {self.total_parameters:,}"
        )


def inject(
    model: nn.Module, config: LoRAConfig, generator: torch.Generator | None = None
) -> InjectionReport:
    """Freezes a model and puts a low-rank update beside each targeted linear map.

    Names of existing parameters do not change. After it, exactly the updates and the modules of
    ``modules_to_save`` train.

    Args:
        model: Any module; changed in place.
        config: What to adapt, and how.
        generator: Source of randomness for the updates; torch's global one if None.

    Returns:
        What was adapted.

    Raises:
        ValueError: If the model has adapters already.
        ConfigError: If a target matches no linear map, or a module to save does not exist.
    """
    if adapters(model):
        raise ValueError("the model has adapters already")
    linears = {n: m for n, m in model.named_modules() if _is_adaptable(m)}
    saved = [
        n for n, _ in model.named_modules() if any(matches(n, s) for s in config.modules_to_save)
    ]
    inside = tuple(f"{name}." for name in saved)
    candidates = {n: m for n, m in linears.items() if n not in saved and not n.startswith(inside)}
    _refuse_unmatched(config.required, candidates, "target_modules")
    _refuse_unmatched(tuple(config.modules_to_save), dict(model.named_modules()), "modules_to_save")
    model.requires_grad_(False)
    chosen = [n for n in candidates if any(matches(n, t) for t in config.targets)]
    for name in chosen:
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, LoRALinear(linears[name], config, generator))
    for name in saved:
        model.get_submodule(name).requires_grad_(True)
    updates = sum(
        p.numel() for m in adapters(model).values() for p in (m.lora_A.weight, m.lora_B.weight)
    )
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    return InjectionReport(chosen, updates, trainable - updates, total)


def _is_adaptable(module: nn.Module) -> TypeGuard[nn.Linear]:
    """Tells linear maps from the one of torch's attention, which is never called itself."""
    return isinstance(module, nn.Linear) and not isinstance(module, NonDynamicallyQuantizableLinear)


def _refuse_unmatched(
    targets: tuple[str, ...], modules: Mapping[str, nn.Module], option: str
) -> None:
    for target in targets:
        if not any(matches(name, target) for name in modules):
            known = {name.rsplit(".", 1)[-1] for name in modules}
            known = {name for name in known if name and not name.isdigit()}
            nearest = did_you_mean(target, [*known, *TARGET_PRESETS])
            guess = f"did you mean {nearest}? " if nearest else ""
            raise ConfigError(
                f"{target!r} matches no module of this model",
                where=f"lora.{option}",
                fix=f"{guess}there are {', '.join(sorted(known))}",
            )


def adapters(model: nn.Module) -> dict[str, LoRALinear]:
    """Finds the adapted linear maps of a model.

    Args:
        model: Any module.

    Returns:
        Each under its name.
    """
    return {name: m for name, m in model.named_modules() if isinstance(m, LoRALinear)}


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
