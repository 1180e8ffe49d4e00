"""Reads and writes safetensors files; the header is checked in full before any tensor is made.

A file is eight bytes for the length of the header, the header in JSON, and the tensors end to
end. torch is imported only by the functions that make tensors.
"""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from lowkey.errors import DataError, shown
from lowkey.files.durable import write_bytes
from lowkey.files.text import MIB, open_regular, parse_json

if TYPE_CHECKING:
    from torch import Tensor

_MAX_HEADER = 16 * MIB
_MAX_RANK = 16

# Name in the file, name in torch, bytes of one number.
_DTYPES = {
    "F64": ("float64", 8),
    "F32": ("float32", 4),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "I64": ("int64", 8),
    "I32": ("int32", 4),
    "I16": ("int16", 2),
    "I8": ("int8", 1),
    "U8": ("uint8", 1),
    "BOOL": ("bool", 1),
}

# What people find under the name of weights, by its first bytes.
_NOT_WEIGHTS = {
    b"PK": "a zip archive (perhaps a PyTorch pickle)",
    b"\x80": "a pickle, which can run code when opened",
    b"\x1f\x8b": "a gzip archive",
    b"7z": "a 7z archive",
    b"<": "a web page",
    b"{": "a JSON file",
}


@dataclass(frozen=True)
class TensorInfo:
    """What the header of a file says about one tensor.

    Attributes:
        dtype: Name of the number format, as torch spells it (``float32``).
        shape: Length of each dimension.
    """

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class _Entry(TensorInfo):
    begin: int  # offset of the first byte, from the beginning of the file
    num_bytes: int


def tensor_infos(path: Path) -> dict[str, TensorInfo]:
    """Reads only the header of a safetensors file.

    Args:
        path: The file.

    Returns:
        Dtype and shape by name, in the order of the file.

    Raises:
        MissingInputError: If the file is not there or is no regular file that can be read.
        DataError: If it is no safetensors file, or one that is cut off or contradicts itself.
    """
    with open_regular(path) as file:
        entries = _read_header(file, path)
    return {name: TensorInfo(entry.dtype, entry.shape) for name, entry in entries.items()}


def read_tensors(path: Path, *, names: Collection[str] | None = None) -> dict[str, "Tensor"]:
    """Reads tensors from a safetensors file, each into memory of its own.

    Args:
        path: The file.
        names: The tensors wanted; None for all.

    Returns:
        The tensors by name, in the order of the file.

    Raises:
        MissingInputError: If the file is not there or is no regular file that can be read.
        DataError: If it is no valid safetensors file, lacks one of the names, or holds NaN or
            infinite numbers in one of the tensors.
    """
    with open_regular(path) as file:
        entries = _read_header(file, path)
        absent = sorted(set(names or ()) - entries.keys())
        if absent:
            raise DataError(f"{path} holds no tensor {shown(absent[0])}")
        wanted = entries if names is None else {n: e for n, e in entries.items() if n in names}
        return {name: _read_tensor(file, path, name, entry) for name, entry in wanted.items()}


def write_tensors(
    path: Path, tensors: Mapping[str, "Tensor"], metadata: Mapping[str, str] | None = None
) -> None:
    """Replaces a safetensors file: the same tensors and metadata give the same bytes.

    Args:
        path: The file; its folder must exist.
        tensors: The tensors by name, on any device; no two may share memory.
        metadata: Texts to keep in the header.

    Raises:
        CannotWriteError: If it cannot be written; see `write_bytes`.
        RuntimeError: If two tensors share memory.
    """
    from safetensors.torch import save

    data = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    if metadata:
        # The library writes metadata in a different order in each process.
        size = int.from_bytes(data[:8], "little")
        header = {"__metadata__": dict(sorted(metadata.items())), **json.loads(data[8 : 8 + size])}
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        data = b"".join([len(text).to_bytes(8, "little"), text, memoryview(data)[8 + size :]])
    write_bytes(path, data)


def _read_tensor(file: BufferedReader, path: Path, name: str, entry: _Entry) -> "Tensor":
    """Reads one tensor and refuses numbers that are not finite."""
    import torch

    data = torch.empty(entry.num_bytes, dtype=torch.uint8)
    file.seek(entry.begin)
    count = file.readinto(data.numpy().data)
    if count != entry.num_bytes:
        raise DataError(f"{path} became shorter while it was read")
    if entry.dtype == "bool":
        data = data.ne(0)  # a stray byte such as 2 is no valid bool
    dtype = getattr(torch, entry.dtype)
    tensor = data.view(dtype).reshape(entry.shape)
    if dtype.is_floating_point and not torch.isfinite(tensor).all():
        raise DataError(f"{path}: the tensor {shown(name)} holds NaN or infinite numbers")
    return tensor


def _read_header(file: BufferedReader, path: Path) -> dict[str, _Entry]:
    """Reads and checks the header: what it describes fills the file exactly."""
    total = file.seek(0, 2)
    file.seek(0)
    start = file.read(8)
    size = int.from_bytes(start, "little")
    if len(start) < 8 or size > min(total - 8, _MAX_HEADER):
        _refuse_kind(start, total, path)
    raw = file.read(size)
    try:
        header = parse_json(raw.decode("utf-8"), where=f"{path} (header)")
    except UnicodeDecodeError:
        raise DataError(f"{path} is not a safetensors file") from None
    if not isinstance(header, dict):
        raise DataError(f"{path} is not a safetensors file")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or any(type(v) is not str for v in metadata.values()):
        raise DataError("__metadata__ is not a table of texts", where=f"{path} (header)")
    entries = {n: _entry(n, item, path, offset=8 + len(raw)) for n, item in header.items()}
    end = 8 + len(raw)
    for name, entry in sorted(entries.items(), key=lambda pair: (pair[1].begin, pair[1].num_bytes)):
        if entry.begin != end:
            _contradiction(path, name, "leaves a hole or overlaps its neighbour")
        end += entry.num_bytes
    if end != total:
        what = f"{path} has {total} bytes, its header describes {end}"
        raise DataError(what, fix="the file is damaged or cut off; fetch it again")
    return entries


def _refuse_kind(start: bytes, total: int, path: Path) -> NoReturn:
    """Says what the file is instead of a safetensors file."""
    if not total:
        raise DataError(f"{path} is empty (0 bytes)", fix="fetch it again")
    if start == b"version ":
        what = f"{path} is a Git LFS pointer ({total} bytes), not weights"
        raise DataError(what, fix="run 'git lfs pull' there")
    for beginning, kind in _NOT_WEIGHTS.items():
        if start.startswith(beginning):
            raise DataError(f"{path} is {kind}, not safetensors", fix="fetch the right file")
    what = f"{path} is no safetensors file, or is cut off ({total} bytes)"
    raise DataError(what, fix="fetch it again")


def _entry(name: str, item: Any, path: Path, offset: int) -> _Entry:
    """Checks what the header says about one tensor."""
    if not isinstance(item, dict) or item.keys() != {"dtype", "shape", "data_offsets"}:
        _contradiction(path, name, "needs dtype, shape and data_offsets, and nothing else")
    dtype, shape, offsets = item["dtype"], item["shape"], item["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        _contradiction(path, name, f"has the unknown dtype {shown(dtype)}")
    if not _are_counts(shape) or len(shape) > _MAX_RANK:
        _contradiction(path, name, f"has the impossible shape {shown(shape)}")
    if not _are_counts(offsets) or len(offsets) != 2:
        _contradiction(path, name, f"has the impossible offsets {shown(offsets)}")
    spelling, width = _DTYPES[dtype]
    num_bytes = math.prod(shape) * width
    if offsets[1] - offsets[0] != num_bytes:
        _contradiction(path, name, f"of shape {shape} does not fill bytes {shown(offsets)}")
    return _Entry(spelling, tuple(shape), offset + offsets[0], num_bytes)


def _are_counts(items: Any) -> bool:
    """Tells whether a value is a list of whole numbers that an index can hold."""
    return isinstance(items, list) and all(type(n) is int and 0 <= n < 2**48 for n in items)


def _contradiction(path: Path, name: str, what: str) -> NoReturn:
    raise DataError(f"the tensor {shown(name)} {what}", where=f"{path} (header)")
