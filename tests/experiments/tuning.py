"""Fine-tunes of tiny models of transformers, made without training."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

HEAD = ("classifier", "pooler")


@torch.no_grad()
def disturbed(model: Any, matches: Callable[[str], bool], seed: int = 9) -> Any:
    """A copy of a model in which the parameters with certain names are others."""
    copied, generator = copy.deepcopy(model), torch.Generator().manual_seed(seed)
    for name, parameter in copied.named_parameters():
        if matches(name):
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return copied


def is_map(name: str) -> bool:
    """A weight of a linear map in the blocks of a BERT of transformers."""
    return ".layer." in name and name.endswith("weight") and "LayerNorm" not in name


def write(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    return folder
