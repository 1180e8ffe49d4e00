"""The parameters that are trained, by name: what a checkpoint holds of a model."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lowkey.errors import ConfigError, DataError


def trainable_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Lists the parameters that are trained.

    Args:
        model: Any module.

    Returns:
        Each parameter once, by its first name, in the order of the names.

    Raises:
        ConfigError: If there is none.
    """
    found = {name: p for name, p in sorted(model.named_parameters()) if p.requires_grad}
    if not found:
        raise ConfigError("the model has no parameter to train", fix="unfreeze a part of it")
    return found


def restore_parameters(parameters: Mapping[str, nn.Parameter], saved: Mapping[str, Tensor]) -> None:
    """Gives parameters the values they had.

    Args:
        parameters: The parameters by name.
        saved: Their values by name.

    Raises:
        DataError: If names, shapes or dtypes are not the same; then nothing has changed.
    """
    for name in sorted(parameters.keys() | saved.keys()):
        ours, theirs = parameters.get(name), saved.get(name)
        if ours is None or theirs is None:
            place = "the model" if ours is None else "the checkpoint"
            raise DataError(f"the checkpoint is of another model: {name} is not in {place}")
        if (ours.shape, ours.dtype) != (theirs.shape, theirs.dtype):
            what = f"{name} is {_kind(theirs)} in the checkpoint and {_kind(ours)} in the model"
            raise DataError(f"the checkpoint is of another model: {what}")
    with torch.no_grad():
        for name, parameter in parameters.items():
            # Copied, not replaced: optimizer and tied modules hold these very tensors.
            parameter.copy_(saved[name])


def _kind(tensor: Tensor) -> str:
    """Writes shape and dtype for a message."""
    shape = "x".join(map(str, tensor.shape)) or "scalar"
    return f"{shape} {str(tensor.dtype).removeprefix('torch.')}"
