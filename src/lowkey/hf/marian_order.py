"""From sinusoids that take turns to sinusoids in halves: the same model, its features in new order.

Our Transformer lets sines and cosines take turns, as the paper; Marian puts all sines first. The
order of the features of the residual stream is a matter of naming: if every weight that reads or
writes the stream is reordered alike, the model computes the same.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lowkey.models.transformer import Transformer

if TYPE_CHECKING:
    from collections.abc import Iterator

_READ = ("query", "key", "value", "up", "gate", "output")
_WRITE = ("out", "down")


@torch.no_grad()
def in_halves(model: Transformer) -> Transformer:
    """Reorders the features of a model whose sinusoids take turns.

    Args:
        model: A model with sinusoidal positions, without unmerged adapters; it stays as it is.

    Returns:
        A model with the sines first that computes the same up to rounding; the model itself if
        that is its order already.
    """
    if model.config.sinusoids == "halves":
        return model
    with torch.random.fork_rng(devices=[]):
        other = Transformer(model.config.model_copy(update={"sinusoids": "halves"}))
    order = torch.arange(model.config.d_model).view(-1, 2).t().flatten()
    kinds = dict(_kinds(other))
    given = {name: tensor.detach().cpu() for name, tensor in model.named_parameters()}
    for name, parameter in other.named_parameters():
        parameter.copy_(_reordered(given[name], order, kinds[name]))
    return other.train(model.training)


def _kinds(model: Transformer) -> "Iterator[tuple[str, str]]":
    """Says of each parameter where its features of the stream lie: rows, columns or nowhere."""
    for name, _ in model.named_parameters():
        module, _, kind = name.rpartition(".")
        part = module.rpartition(".")[2]
        if isinstance(model.get_submodule(module), nn.LayerNorm) or part in _WRITE:
            yield name, "rows"
        elif kind == "weight" and (part in _READ or part == "token"):
            yield name, "columns"
        else:
            yield name, "nowhere"


def _reordered(tensor: Tensor, order: Tensor, kind: str) -> Tensor:
    if kind == "rows":
        return tensor[order]
    return tensor[:, order] if kind == "columns" else tensor
