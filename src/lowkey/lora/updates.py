"""What an adapter adds to single linear maps and tables, taken out of a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from lowkey.errors import DataError
from lowkey.lora.config import LoRAConfig, matches
from lowkey.lora.inject import adapters
from lowkey.lora.layer import LoRALinear


@dataclass(frozen=True, eq=False)
class LowRank:
    r"""The low-rank update of one map: what to add to its output for its base weight.

    Attributes:
        a: What the update reads.
        b: What it writes, the scale already in it.
        gain: With DoRA the factor of each output, as it follows from the lengths; else None.
    """

    a: Float[Tensor, "rank in_features"]
    b: Float[Tensor, "out rank"]
    gain: Float[Tensor, " out"] | None = None

    def change(
        self,
        output: Float[Tensor, "rows out"],
        x: Float[Tensor, "rows in_features"],
        bias: Float[Tensor, " out"] | None,
    ) -> None:
        r"""Turns the output of the base into that of the adapter, in place.

        With DoRA :math:`y = g \odot (x W^\top + s x A^\top B^\top) + b`, and the output of the
        base has the bias in it already.

        Args:
            output: What the base computes, its bias included.
            x: Of which rows.
            bias: That bias.
        """
        low = x @ self.a.to(x.dtype).t()
        output.addmm_(low, self.b.to(x.dtype).t())
        if self.gain is not None:
            gain = self.gain.to(x.dtype)
            output.mul_(gain)
            if bias is not None:
                output.add_((1 - gain) * bias.to(x.dtype))

    def look_up(self, ids: Int[Tensor, " rows"]) -> Float[Tensor, "rows out"]:
        """Computes what a table of embeddings gets added.

        Args:
            ids: Rows of the table.

        Returns:
            A vector for each.
        """
        return F.embedding(ids, self.a.t()) @ self.b.t()

    @property
    def shape(self) -> tuple[int, int]:
        """Outputs and inputs of the map it belongs to; the rows of a table are its inputs."""
        return len(self.b), self.a.shape[1]


@dataclass(frozen=True, eq=False)
class Whole:
    """One map that an adapter brings whole, such as its head: the base's is not used.

    Attributes:
        weight: Its weight; a head has as many outputs as labels.
        bias: Its bias, if it has one.
    """

    weight: Float[Tensor, "out in_features"]
    bias: Float[Tensor, " out"] | None

    def __call__(self, x: Float[Tensor, "rows in_features"]) -> Float[Tensor, "rows out"]:
        """Maps each row.

        Args:
            x: Rows of features.

        Returns:
            Rows of the same precision.
        """
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.linear(x, self.weight.to(x.dtype), bias)


@dataclass(frozen=True)
class Adapter:
    """All that an adapter changes in its base.

    Attributes:
        updates: Low-rank updates by the names of their maps.
        whole: Maps that are its own, by their names.
    """

    updates: Mapping[str, LowRank] = field(default_factory=dict)
    whole: Mapping[str, Whole] = field(default_factory=dict)


@torch.no_grad()
def take_out(model: nn.Module, config: LoRAConfig, name: str) -> Adapter:
    """Takes an adapter out of a model that ``inject`` has adapted; the model stays as it is.

    A ``pissa`` comes out as its difference from the base before it was taken apart.

    Args:
        model: The adapted model.
        config: What it was adapted with.
        name: What messages call the adapter.

    Returns:
        Copies of all that it changes.

    Raises:
        ValueError: If the model is not adapted, or if its updates are merged.
        DataError: If the adapter trained biases of its base, or modules whole that are more than
            linear maps.
    """
    adapted = adapters(model)
    if not adapted or any(module.merged for module in adapted.values()):
        raise ValueError("takes a model with adapters that are not merged")
    if config.bias != "none":
        raise DataError(
            f"adapter {name} trained biases of its base (bias: {config.bias}), which adapters in"
            " one batch share",
            fix="use it alone, or train it with lora.bias none",
        )
    updates = {}
    for path, module in adapted.items():
        a, b = module.factors_against_base()
        gain = module.gain() if isinstance(module, LoRALinear) else None
        updates[path] = LowRank(a.clone(), b * module.scaling, gain)
    return Adapter(updates, _whole(model, config, name))


def weighted_sum(parts: Sequence[tuple[Mapping[str, LowRank], float | int]]) -> dict[str, LowRank]:
    """Adds updates up, exactly: factors stand side by side, and ranks add up.

    Args:
        parts: Updates by the names of their maps, plain ones, and what to multiply them by.

    Returns:
        The sum for each map that any of them is for.
    """
    found: dict[str, LowRank] = {}
    for path in dict.fromkeys(path for updates, _ in parts for path in updates):
        own = [(updates[path], weight) for updates, weight in parts if path in updates]
        a = torch.cat([update.a for update, _ in own])
        found[path] = LowRank(a, torch.cat([update.b * weight for update, weight in own], dim=1))
    return found


def _whole(model: nn.Module, config: LoRAConfig, name: str) -> dict[str, Whole]:
    """Finds the maps of the modules that were trained whole."""
    modules = dict(model.named_modules())
    saved = [path for path in modules if any(matches(path, s) for s in config.modules_to_save)]
    inside = tuple(f"{path}." for path in saved)
    found = {}
    for path, module in modules.items():
        if not f"{path}.".startswith(inside) or not list(module.parameters(recurse=False)):
            continue
        if not isinstance(module, nn.Linear):
            raise DataError(
                f"adapter {name} holds {path} whole, which is no linear map",
                fix="use it alone: a batch of several adapters can mix linear maps",
            )
        bias = None if module.bias is None else module.bias.detach().clone()
        found[path] = Whole(module.weight.detach().clone(), bias)
    return found
