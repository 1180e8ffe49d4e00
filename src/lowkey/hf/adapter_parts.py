r"""Updates of modules that are one of theirs and several of ours: put together for PEFT's files.

An update of the whole, :math:`s B A`, has the rows of its parts below each other. Where the parts
were adapted apart, their A stand below each other too, and their B along the diagonal:

.. math:: A = \begin{pmatrix} A_1 \\ A_2 \end{pmatrix}, \qquad
          B = \begin{pmatrix} B_1 & 0 \\ 0 & B_2 \end{pmatrix}

The rank is the sum of theirs, and the scale stays: lora_alpha grows as the rank does, or as its
root with rsLoRA. The way back is ``Weights.in_parts``: every part takes the whole A and its rows
of B; ``without_padding`` then drops the zeros beside the diagonal.

PiSSA is not the same of a matrix as of its parts: ``against_whole_modules`` takes it of the matrix.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from lowkey.errors import DataError
from lowkey.hf.adapter_families import Family
from lowkey.hf.adapter_keys import PREFIX
from lowkey.hf.parts import joined, part_number, parts_of, whole_name
from lowkey.lora.config import LoRAConfig
from lowkey.lora.start import principal_factors

A, B, LENGTHS = ".lora_A.weight", ".lora_B.weight", ".lora_magnitude_vector"


@dataclass(frozen=True)
class Size:
    """What PEFT's patterns say of one adapted module.

    Attributes:
        r: Its rank.
        lora_alpha: Its alpha.
    """

    r: int
    lora_alpha: float | int


def put_together(
    model: nn.Module,
    tensors: Mapping[str, Tensor],
    sizes: Mapping[str, Size],
    config: LoRAConfig,
    family: Family,
) -> tuple[dict[str, Tensor], dict[str, Size]]:
    """Makes one update of those of the parts of a module.

    Args:
        model: The adapted model; says how long the rows are that DoRA left alone.
        tensors: What goes into the file, by its key there, parts by names of their own.
        sizes: Rank and alpha of each adapted module or part, by their name.
        config: What the model was adapted with.
        family: What kind of model it is.

    Returns:
        Tensors and sizes by names of whole modules.
    """
    found, whole_sizes = dict(tensors), {n: s for n, s in sizes.items() if part_number(n) is None}
    for whole in dict.fromkeys(whole_name(n) for n in sizes if part_number(n) is not None):
        every = parts_of(whole, family.parts)
        updates = {
            i: (found.pop(PREFIX + n + A), found.pop(PREFIX + n + B), sizes[n])
            for i, n in enumerate(every)
            if n in sizes
        }
        a, b, size = _stacked(updates, len(every), config)
        found |= {PREFIX + whole + A: a, PREFIX + whole + B: b}
        whole_sizes[whole] = size
        for name in every if config.use_dora else ():
            if name not in sizes:
                untouched = model.get_submodule(family.ours(name)).weight
                assert isinstance(untouched, Tensor)
                found[PREFIX + name + LENGTHS] = untouched.detach().float().norm(dim=1)
    return joined(found), whole_sizes


def against_whole_modules(
    model: nn.Module,
    tensors: Mapping[str, Tensor],
    config: LoRAConfig,
    family: Family,
    *,
    where: Path,
) -> tuple[dict[str, Tensor], LoRAConfig]:
    """Describes updates that began as parts of weights (``pissa``) as differences from the base.

    peft takes the largest part out of a whole matrix, where several of ours are one of theirs.

    Args:
        model: The base.
        tensors: The updates and all else that was read, by our names.
        config: The options, with the targets by our full names.
        family: What kind of model it is.
        where: The adapter's folder, for messages.

    Returns:
        The tensors, and the options of updates of twice the rank; both as they were if no target
        is a part of a module, or no update began so.

    Raises:
        DataError: If an update has a higher rank than its matrix.
    """
    wholes: dict[str, list[str]] = {}
    for name in sorted(config.targets, key=family.theirs):
        wholes.setdefault(family.module(name), []).append(name)
    found = dict(tensors)
    if config.init_lora_weights != "pissa" or len(wholes) == len(config.targets):
        return found, config
    for whole, names in wholes.items():
        weights = [model.get_parameter(f"{name}.weight").detach() for name in names]
        weight, own = torch.cat(weights), config.of_module(names[0])
        if own.r > min(weight.shape):
            values = f"{own.r} singular values of {whole}, which has {min(weight.shape)}"
            raise DataError(
                f"adapter {where} takes {values}", fix="its two files do not belong together"
            )
        a, b = principal_factors(weight, own.r, own.scaling)
        for name, rows in zip(names, b.chunk(len(names)), strict=True):
            found[name + A] = torch.cat([found[name + A], a])
            found[name + B] = torch.cat([found[name + B], -rows], dim=1)
    return found, config.against_base()


def without_padding(
    tensors: Mapping[str, Tensor], config: LoRAConfig, family: Family
) -> tuple[dict[str, Tensor], LoRAConfig]:
    """Leaves to each part the update that is its own, where parts were adapted apart.

    A column of a part's B that is zero adds nothing, nor does the row of A that it belongs to. An
    update that is zero in all of its parts is a fresh one, and stays as it is; so do those of DoRA,
    whose lengths are of all rows.

    Args:
        tensors: The updates and all else that was read, by our names.
        config: The options, with the targets by our full names.
        family: What kind of model it is.

    Returns:
        The tensors, and the options with the ranks and the targets that are left.
    """
    found, targets = dict(tensors), list(config.targets)
    ranks, alphas = dict(config.rank_pattern), dict(config.alpha_pattern)
    groups: dict[str, list[str]] = {}
    for name in () if config.use_dora else targets:
        groups.setdefault(family.module(name), []).append(name)
    for parts in (names for names in groups.values() if len(names) > 1):
        columns = {n: found[n + B].any(dim=0).nonzero().flatten() for n in parts}
        if not any(len(own) for own in columns.values()):
            continue
        for name, own in columns.items():
            a, b, before = found.pop(name + A), found.pop(name + B), config.of_module(name)
            ranks.pop(name, None)
            alphas.pop(name, None)
            if not len(own):
                targets.remove(name)
                continue
            found |= {name + A: a[own], name + B: b[:, own]}
            alpha = before.lora_alpha * _root_of(len(own) / before.r, config)
            if len(own) != config.r:
                ranks[name] = len(own)
            if alpha != config.lora_alpha:
                alphas[name] = alpha
    return found, config.model_copy(
        update={"target_modules": targets, "rank_pattern": ranks, "alpha_pattern": alphas}
    )


def _stacked(
    updates: Mapping[int, tuple[Tensor, Tensor, Size]], num_parts: int, config: LoRAConfig
) -> tuple[Tensor, Tensor, Size]:
    """One update of those of some parts, by their numbers."""
    first_a, first_b, first = next(iter(updates.values()))
    if len(updates) == num_parts and all(
        size == first and a.equal(first_a) for a, _, size in updates.values()
    ):
        # As peft trained it, or as it came from a file: nothing has to grow.
        return first_a, torch.cat([updates[i][1] for i in range(num_parts)]), first
    rank, rows, column = sum(size.r for _, _, size in updates.values()), len(first_b), 0
    alpha = first.lora_alpha * _root_of(rank / first.r, config)
    b = first_b.new_zeros(rows * num_parts, rank)
    for number, (_, part, size) in updates.items():
        scale = size.lora_alpha * _root_of(rank / size.r, config) / alpha
        end = column + size.r
        b[number * rows : (number + 1) * rows, column:end] = part * scale
        column = end
    return torch.cat([a for a, _, _ in updates.values()]), b, Size(rank, alpha)


def _root_of(growth: float, config: LoRAConfig) -> float:
    """By what alpha grows with the rank, so that the scale in front of B A stays."""
    return growth**0.5 if config.use_rslora else growth
