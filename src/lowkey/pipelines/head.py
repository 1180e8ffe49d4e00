"""The head of a classifier in a file of its own, for a base that stays as it is."""

from pathlib import Path

from lowkey.errors import DataError, shown
from lowkey.files import read_tensors, tensor_infos, write_tensors
from lowkey.models.heads import SequenceClassifier, TokenClassifier

HEAD_FILE = "head.safetensors"
_HEAD, _POOLER = ("transform.", "classifier."), "encoder.pooler."


def save_head(model: SequenceClassifier | TokenClassifier, folder: Path) -> None:
    """Writes the head of a model, and a pooler that its base does not hold.

    Args:
        model: A classifier; of the pooler it is said by whether it is trained.
        folder: An existing folder.

    Raises:
        CannotWriteError: If the file cannot be written.
    """
    kept = {
        name: parameter
        for name, parameter in model.named_parameters()
        if name.startswith(_HEAD) or (name.startswith(_POOLER) and parameter.requires_grad)
    }
    write_tensors(folder / HEAD_FILE, kept)


def load_head(
    model: SequenceClassifier | TokenClassifier, folder: Path, *, freeze: bool = True
) -> None:
    """Puts the head of a bundle on its base.

    Args:
        model: The base; changed in place.
        folder: The bundle.
        freeze: Whether all else is frozen.

    Raises:
        MissingInputError: If the file is not there.
        DataError: If it is damaged, or not for this model.
    """
    path = folder / HEAD_FILE
    found = {name: info.shape for name, info in tensor_infos(path).items()}
    shapes = {n: tuple(p.shape) for n, p in model.named_parameters() if n.startswith(_HEAD)}
    if any(name.startswith(_POOLER) for name in found):
        shapes |= {n: tuple(p.shape) for n, p in model.named_parameters() if n.startswith(_POOLER)}
    if found != shapes:
        raise DataError(f"holds {shown(found, 200)}, the model needs {shapes}", where=str(path))
    model.load_state_dict(read_tensors(path), strict=False)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in found or (parameter.requires_grad and not freeze))
