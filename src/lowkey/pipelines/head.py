"""The head of a classifier in a file of its own, for a base that stays as it is but for biases."""

from pathlib import Path

from torch import nn

from lowkey.errors import DataError, shown
from lowkey.files import read_tensors, tensor_infos, write_tensors

HEAD_FILE = "head.safetensors"
BITFIT_FILE = "bitfit.safetensors"
_HEAD, _POOLER = ("transform.", "classifier.", "prediction."), "encoder.pooler."


def is_bias(name: str) -> bool:
    """Says whether a parameter is a bias, of a linear map, of a norm or of the outputs.

    Args:
        name: Its full name.

    Returns:
        Whether it is one.
    """
    return name.endswith(".bias")


def save_head(model: nn.Module, folder: Path, *, biases: bool = False) -> None:
    """Writes what of a model is trained: its head, and a pooler that its base does not hold.

    Args:
        model: A classifier; of the pooler it is said by whether it is trained.
        folder: An existing folder.
        biases: Whether all biases are trained too.

    Raises:
        CannotWriteError: If the file cannot be written.
    """
    kept = {
        name: parameter
        for name, parameter in model.named_parameters()
        if name.startswith(_HEAD)
        or (parameter.requires_grad and (name.startswith(_POOLER) or (biases and is_bias(name))))
    }
    write_tensors(folder / (BITFIT_FILE if biases else HEAD_FILE), kept)


def load_head(model: nn.Module, folder: Path, *, biases: bool = False, freeze: bool = True) -> None:
    """Puts the head of a bundle, and perhaps its biases, on its base.

    Args:
        model: The base; changed in place.
        folder: The bundle.
        biases: Whether all biases were trained too.
        freeze: Whether all else is frozen.

    Raises:
        MissingInputError: If the file is not there.
        DataError: If it is damaged, or not for this model.
    """
    path = folder / (BITFIT_FILE if biases else HEAD_FILE)
    found = {name: info.shape for name, info in tensor_infos(path).items()}
    # A pooler is held whole where the base has none; with bitfit its bias is held anyway.
    pooled = any(n.startswith(_POOLER) and not (biases and is_bias(n)) for n in found)
    parts = (*_HEAD, _POOLER) if pooled else _HEAD
    shapes = {
        name: tuple(parameter.shape)
        for name, parameter in model.named_parameters()
        if name.startswith(parts) or (biases and is_bias(name))
    }
    if found != shapes:
        what = f"holds {shown(found, 200)}, the model needs {shown(shapes, 200)}"
        raise DataError(what, where=str(path))
    model.load_state_dict(read_tensors(path), strict=False)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in found or (parameter.requires_grad and not freeze))
