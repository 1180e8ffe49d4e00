"""Files such as ``torch.save`` writes, and such as only somebody hostile does."""

import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch

HUGE = 2**35


class Calls:
    """Pickles to the call of a function."""

    def __init__(self, function: Any, *arguments: Any):
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


class _Storage:
    """Stands for numbers that are not in the file."""


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, _Storage):
            return ("storage", torch.FloatStorage, "0", "cpu", HUGE, None)
        return None


def saved(value: Any, *, old: bool = False) -> bytes:
    """What ``torch.save`` writes; ``old`` is the format before the zip archives."""
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=not old)
    return file.getvalue()


def compressed(data: bytes) -> bytes:
    """The same zip archive with its records squeezed."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name), compress_type=zipfile.ZIP_DEFLATED)
    return file.getvalue()


def memory_bomb() -> bytes:
    """An old file of some hundred bytes that asks for 128 GiB before it reads a number."""
    file = io.BytesIO()
    head = torch.serialization.MAGIC_NUMBER, torch.serialization.PROTOCOL_VERSION
    for value in (*head, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}):
        pickle.dump(value, file, protocol=2)
    rebuild = torch._utils._rebuild_tensor_v2
    tensor = Calls(rebuild, _Storage(), 0, (HUGE,), (1,), False, OrderedDict())
    _Pickler(file, protocol=2).dump({"weight": tensor})
    pickle.dump(["0"], file, protocol=2)
    return file.getvalue()


def endless() -> bytes:
    """A key whose hash takes 2^100 steps: pairs of pairs of pairs, each written once."""
    pairs = b"q\x00h\x00\x86" * 100
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02})" + pairs + b"K\x01s.")
        archive.writestr("archive/version", b"3\n")
    return file.getvalue()


def folder_of(root: Path, data: bytes) -> Path:
    """A model folder around one pickle."""
    root.mkdir()
    (root / "config.json").write_text("{}", encoding="utf-8")
    (root / "pytorch_model.bin").write_bytes(data)
    return root
