"""Modules of theirs that are several of ours, such as query, key and value in one matrix.

The rows of the parts stand below each other. Part i of a module is written ``name[i]``; no file
holds such a name, it stands between a file and a table of names.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_PART = re.compile(r"\[([0-9])\]")


def part_name(module: str, number: int) -> str:
    """Names one part of a module.

    Args:
        module: Their name of the module.
        number: Which part, from 0.

    Returns:
        Its name.

    Example:
        >>> part_name("layers.0.attn.Wqkv", 1)
        'layers.0.attn.Wqkv[1]'
    """
    return f"{module}[{number}]"


def whole_name(name: str) -> str:
    """Names the module, or the tensor, that a part belongs to.

    Args:
        name: A name of theirs, of a part or not.

    Returns:
        The name as it stands in files.
    """
    return _PART.sub("", name)


def part_number(name: str) -> int | None:
    """Says which part a name is of.

    Args:
        name: A name of theirs.

    Returns:
        The number of the part; None for a name of a whole.
    """
    found = _PART.search(name)
    return None if found is None else int(found[1])


def parts_of(name: str, parts: Mapping[str, int]) -> list[str]:
    """Names the parts of a tensor of theirs.

    Args:
        name: Its name in a file.
        parts: How many parts a module has, by the last part of its name.

    Returns:
        The names of the parts; the name itself for a tensor of a module that has none.

    Example:
        >>> parts_of("layers.0.attn.Wqkv.weight", {"Wqkv": 2})
        ['layers.0.attn.Wqkv[0].weight', 'layers.0.attn.Wqkv[1].weight']
    """
    path = name.split(".")
    for i, last in enumerate(path):
        if last in parts:
            before, after = path[:i], path[i + 1 :]
            each = (part_name(last, number) for number in range(parts[last]))
            return [".".join([*before, part, *after]) for part in each]
    return [name]


def joined(tensors: Mapping[str, "Tensor"]) -> dict[str, "Tensor"]:
    """Puts the parts of tensors together again.

    Args:
        tensors: Tensors by their names; the parts of one in any order, all of them there.

    Returns:
        The tensors as they stand in files.

    Example:
        >>> import torch
        >>> whole = joined({"Wi[1].weight": torch.ones(1, 2), "Wi[0].weight": torch.zeros(1, 2)})
        >>> whole["Wi.weight"].tolist()
        [[0.0, 0.0], [1.0, 1.0]]
    """
    import torch  # here: configs are read through the tables of names, and need none of it

    found: dict[str, Tensor] = {}
    pieces: dict[str, dict[int, Tensor]] = {}
    for name, tensor in tensors.items():
        number = part_number(name)
        if number is None:
            found[name] = tensor
        else:
            pieces.setdefault(whole_name(name), {})[number] = tensor
    return found | {
        name: torch.cat([parts[i] for i in range(len(parts))]) for name, parts in pieces.items()
    }
