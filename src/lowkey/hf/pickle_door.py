"""The one place where a pickle is opened: a process of its own, run by `lowkey.hf.convert`.

It is never imported by another module. It is given open files by their descriptors, shuts itself
off, lets ``torch.load`` read tensors and nothing else, and writes their numbers as safetensors.
What it says on standard output is two lines of JSON: which measures hold, and what it found. The
process that started it believes none of this before it has checked the file.
"""

import errno
import json
import os
import re
import sys
import zipfile
from typing import TYPE_CHECKING, Any, BinaryIO

from lowkey.hf import confinement

if TYPE_CHECKING:
    from torch import Tensor

REFUSED = 3
"""The exit code of a process that says why it does not accept a file."""

# Names in torch and in safetensors.
_DTYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32"}
_DTYPES |= {"int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL"}
_MAX_TENSORS = 100_000
_MAX_NAME = 1000


class _RefusedError(Exception):
    """The file is not accepted: a word for the reason, and what in the file it is about."""

    def __init__(self, reason: str, about: str = ""):
        super().__init__(reason)
        self.reason = reason
        self.about = about


def main() -> int:
    """Opens the files whose descriptors the command line gives.

    The words are: greatest processor seconds, greatest memory and greatest size of the output in
    bytes, the descriptor of the output, and the descriptors of the files.

    Returns:
        0 if the output is written, or ``REFUSED``.
    """
    seconds, memory, file_size, out, *inputs = map(int, sys.argv[1:])
    holds = {"network": confinement.leave_network()}
    import torch  # while nothing is forbidden yet

    output = open(out, "wb")  # noqa: SIM115  # for the same reason
    holds["memory"] = confinement.limit_resources(
        memory=memory, file_size=file_size, seconds=seconds
    )
    holds["writes"] = confinement.refuse_writes()
    holds["calls"] = confinement.refuse_calls()
    confinement.refuse_events()
    _say(holds)
    try:
        tensors: dict[str, Tensor] = {}
        for descriptor in inputs:
            for name, tensor in _load(torch, descriptor).items():
                if name in tensors:
                    raise _RefusedError("twice", name)
                tensors[name] = tensor
        with output:
            _write(tensors, output, file_size)
    except _RefusedError as refusal:
        _say({"reason": refusal.reason, "about": refusal.about[:_MAX_NAME]})
        return REFUSED
    except BaseException as error:
        _say({"reason": _reason(error), "about": _asked_for(error)})
        return REFUSED
    return 0


def _load(torch: Any, descriptor: int) -> "dict[str, Tensor]":
    """Reads one file and makes sure that it holds tensors by name and nothing else."""
    path = f"/dev/fd/{descriptor}"
    with open(descriptor, "rb", closefd=False) as file:
        is_zip = zipfile.is_zipfile(file)
        if is_zip:
            with zipfile.ZipFile(file) as archive:
                if any(record.compress_type != zipfile.ZIP_STORED for record in archive.infolist()):
                    raise _RefusedError("compressed")
        file.seek(0)
        # Files older than the zip format cannot be mapped, nor can one that only its opener may
        # read: this process has no privileges any more.
        mapped = is_zip and os.access(path, os.R_OK)
        source = path if mapped else file
        loaded = torch.load(source, map_location="cpu", weights_only=True, mmap=mapped)
    if not isinstance(loaded, dict):
        raise _RefusedError("no-table", type(loaded).__name__)
    if not 0 < len(loaded) <= _MAX_TENSORS:
        raise _RefusedError("count")
    for name, value in loaded.items():
        if not _is_name(name):
            raise _RefusedError("name", str(name) if type(name) in (str, int) else "")
        if type(value) not in (torch.Tensor, torch.nn.Parameter):
            raise _RefusedError("no-tensor", name)
        plain = value.layout == torch.strided and value.device.type == "cpu"
        if not plain or _dtype(value) not in _DTYPES:
            raise _RefusedError("no-plain-tensor", name)
    return {name: value.detach() for name, value in loaded.items()}


def _write(tensors: "dict[str, Tensor]", file: BinaryIO, file_size: int) -> None:
    """Writes a safetensors file, holding one tensor at a time in memory.

    Tensors that share memory in the pickle are written once for each name.
    """
    import torch

    # Wide numbers first, so that each tensor lies where a program may map it.
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in names:
        tensor = tensors[name]
        begin, end = end, end + tensor.numel() * tensor.element_size()
        kind, shape = _DTYPES[_dtype(tensor)], list(tensor.shape)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if 8 + len(text) + end > file_size:
        raise _RefusedError("growth")
    file.write(len(text).to_bytes(8, "little") + text)
    for name in names:
        file.write(tensors[name].reshape(-1).contiguous().view(torch.uint8).numpy().data)


def _is_name(name: Any) -> bool:
    """Tells whether a tensor may bear this name in safetensors, and be named in a message."""
    fits = type(name) is str and 0 < len(name) <= _MAX_NAME and name.isprintable()
    return fits and name != "__metadata__"


def _dtype(tensor: "Tensor") -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _reason(error: BaseException) -> str:
    """Sorts what ``torch.load`` may raise on a file that is not what it should be."""
    if isinstance(error, MemoryError) or re.search(r"allocate memory|unable to mmap", str(error)):
        return "memory"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "no-room"
    return "code" if _asked_for(error) else "damaged"


def _asked_for(error: BaseException) -> str:
    """The class or function that a pickle wants to use and may not."""
    found = re.search(r"GLOBAL ([\w.]{1,100})", str(error))
    return found[1] if found else ""


def _say(facts: dict[str, Any]) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    sys.exit(main())
