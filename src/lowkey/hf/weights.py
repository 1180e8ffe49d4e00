"""Weights into parameters: every key of the files used once, every parameter written once.

Names, shapes and dtypes come from the header of the file, so whatever is wrong with it is found
before a single tensor is allocated.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lowkey.errors import DataError, shown
from lowkey.files import TensorInfo, read_tensors, tensor_infos
from lowkey.hf.model_folder import SHARDS, WEIGHTS
from lowkey.hf.parts import part_number, parts_of, whole_name
from lowkey.hf.shards import INCOMPLETE, read_index

DTYPES = ("float32", "float16", "bfloat16")
MAX_PARAMETERS = 2_000_000_000
"""Eight gibibytes in fp32: more than the largest published BERT-family encoder."""


@dataclass(frozen=True)
class Weights:
    """The tensors of a model or an adapter, and the files they stand in.

    Attributes:
        path: The one file, or the index of several.
        infos: What the headers say of each tensor.
        files: The file that holds each tensor.
    """

    path: Path
    infos: Mapping[str, TensorInfo]
    files: Mapping[str, Path]

    @staticmethod
    def of_file(path: Path) -> "Weights":
        """Reads the header of one file.

        Args:
            path: A safetensors file.

        Returns:
            Its tensors.

        Raises:
            MissingInputError: If the file is not there.
            DataError: If it is no valid safetensors file.
        """
        infos = tensor_infos(path)
        return Weights(path, infos, dict.fromkeys(infos, path))

    def in_parts(self, parts: Mapping[str, int]) -> "Weights":
        """Takes modules apart that are several of ours; see ``parts.py``.

        The rows of a tensor are shared out among the parts; the A of an update is read by each.

        Args:
            parts: How many parts a module has, by the last part of its name.

        Returns:
            The same files, with the parts in the place of their wholes.

        Raises:
            DataError: If the rows of a tensor are no multiple of the parts.
        """
        infos: dict[str, TensorInfo] = {}
        for key, info in self.infos.items():
            names = parts_of(key, parts)
            if parts and whole_name(key) != key:
                raise DataError(f"holds {_listed([key])} with no place here", where=str(self.path))
            rows, shape = (info.shape or (0,))[0], info.shape
            if len(names) > 1 and ".lora_A." not in key:
                if rows % len(names):
                    what = f"{shown(key, 120)} has {rows} rows, which are not {len(names)} parts"
                    raise DataError(what, where=str(self.path))
                shape = (rows // len(names), *info.shape[1:])
            infos |= dict.fromkeys(names, TensorInfo(info.dtype, shape))
        files = {name: self.files[whole_name(name)] for name in infos}
        return Weights(self.path, infos, files)

    def read(self, names: Collection[str]) -> dict[str, Tensor]:
        """Reads tensors, file by file.

        Args:
            names: The tensors wanted, all of them in ``infos``.

        Returns:
            The tensors by name.

        Raises:
            MissingInputError: If a file is gone.
            DataError: If a file has changed, or holds NaN or infinite numbers in one of them.
        """
        wholes: dict[str, Tensor] = {}
        for file in dict.fromkeys(self.files[name] for name in names):
            keys = {whole_name(name) for name in names if self.files[name] == file}
            wholes |= read_tensors(file, names=keys)
        return {name: self._part(name, wholes[whole_name(name)]) for name in names}

    def _part(self, name: str, whole: Tensor) -> Tensor:
        rows, number = self.infos[name].shape, part_number(name)
        if number is None or rows == whole.shape:
            return whole
        return whole[number * rows[0] : (number + 1) * rows[0]].clone()


def open_weights(folder: Path) -> Weights:
    """Reads the headers of all weights of a model folder.

    Args:
        folder: A model folder.

    Returns:
        Its tensors; of a folder that has both, those of the one file.

    Raises:
        MissingInputError: If a file is not there.
        DataError: If a file is no valid safetensors file, if index and files disagree about where
            a tensor is, or if together they hold more than lowkey loads.
    """
    if (folder / WEIGHTS).exists():
        return Weights.of_file(folder / WEIGHTS)
    path = folder / SHARDS
    wanted = read_index(path)
    infos: dict[str, TensorInfo] = {}
    for shard in dict.fromkeys(wanted.values()):
        held = tensor_infos(folder / shard)
        for name in held:
            if wanted.get(name) != shard:
                told = f"says {shown(wanted[name])}" if name in wanted else "does not list it"
                what = f"{shard} holds the tensor {shown(name)}, but the index {told}"
                raise DataError(what, where=str(path), fix=INCOMPLETE)
        infos |= held
    for name, shard in wanted.items():
        if name not in infos:
            what = f"the tensor {shown(name)} is said to be in {shard}, which does not hold it"
            raise DataError(what, where=str(path), fix=INCOMPLETE)
    check_budget([info.shape for info in infos.values()], where=str(path))
    return Weights(path, infos, {name: folder / shard for name, shard in wanted.items()})


def match(
    infos: Mapping[str, TensorInfo],
    shapes: Mapping[str, tuple[int, ...]],
    ours: Callable[[str], str | None],
    theirs: Callable[[str], str],
    *,
    where: str,
    fix: str,
) -> dict[str, str]:
    """Finds for each parameter the one key of a file that holds it.

    Args:
        infos: Header of the file.
        shapes: Name and shape of every parameter to be written.
        ours: Translates a key to the name of a parameter; None for a key that is left out for a
            declared reason; ``KeyError`` for a key it does not know.
        theirs: Translates the name of a parameter to the key it is looked for under.
        where: The file, for messages.
        fix: What may be the cause of a disagreement, for messages.

    Returns:
        The key for each parameter name.

    Raises:
        DataError: If a key has no place, if two keys have the same, if a parameter gets none, or
            if a shape or dtype is not what the parameter needs.
    """
    keys: dict[str, str] = {}
    strangers = []
    for key in infos:
        try:
            name = ours(key)
        except KeyError:
            strangers.append(key)
            continue
        if name is None:
            continue
        if name not in shapes:
            strangers.append(key)
        elif name in keys:
            what = f"{shown(keys[name])} and {shown(key)} are the same tensor"
            raise DataError(what, where=where, fix=fix)
        else:
            keys[name] = key
    missing = [whole_name(theirs(name)) for name in shapes if name not in keys]
    if missing:
        # The parts of a tensor are missed together.
        raise DataError(f"lacks {_listed(list(dict.fromkeys(missing)))}", where=where, fix=fix)
    if strangers:
        raise DataError(f"holds {_listed(strangers)} with no place here", where=where, fix=fix)
    for name, key in keys.items():
        shape, wanted = list(infos[key].shape), list(shapes[name])
        if shape != wanted:
            what = f"{shown(key)} has shape {shape}, the model needs {wanted}"
            raise DataError(what, where=where, fix=fix)
        if infos[key].dtype not in DTYPES:
            what = f"{shown(key)} is {infos[key].dtype}, none of {', '.join(DTYPES)}"
            raise DataError(what, where=where)
    return keys


def read_matched(weights: Weights, keys: Mapping[str, str]) -> dict[str, Tensor]:
    """Reads what ``match`` found.

    Args:
        weights: The files.
        keys: The key for each parameter name.

    Returns:
        The tensors by parameter name, in fp32.

    Raises:
        DataError: If a tensor holds NaN or infinity.
    """
    tensors = weights.read(list(keys.values()))
    return {name: tensors[key].to(torch.float32) for name, key in keys.items()}


def check_budget(shapes: Collection[tuple[int, ...]], *, where: str) -> None:
    """Refuses a model that is larger than any lowkey can be meant for.

    Args:
        shapes: Shapes of its parameters.
        where: The file that asks for them, for messages.

    Raises:
        DataError: If it has more than ``MAX_PARAMETERS``.
    """
    count = sum(torch.Size(shape).numel() for shape in shapes)
    if count > MAX_PARAMETERS:
        raise DataError(
            f"asks for {count} parameters, more than the {MAX_PARAMETERS} lowkey loads", where=where
        )


def _listed(names: list[str]) -> str:
    first = shown(names[0], 120)
    return f"the tensor {first}" if len(names) == 1 else f"{len(names)} tensors (first: {first})"
