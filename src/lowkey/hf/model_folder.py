"""What a model folder must hold before anything in it is opened, and how a new one is made."""

import hashlib
from pathlib import Path

from lowkey.errors import CannotWriteError, MissingInputError
from lowkey.files import sha256_of
from lowkey.hf.shards import read_index

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
SHARDS = "model.safetensors.index.json"
PICKLE = "pytorch_model.bin"
PICKLE_SHARDS = "pytorch_model.bin.index.json"
ADAPTER_CONFIG = "adapter_config.json"


def check_model_folder(folder: Path, *, where: str | None = None) -> None:
    """Refuses a folder that is no model, saying what it is instead.

    Args:
        folder: What the user gave.
        where: The key or option that named it, for messages.

    Raises:
        MissingInputError: If there is no such folder, if it is a training run or an adapter, if it
            cannot be read, or if it lacks ``config.json`` or weights in safetensors files.
    """
    if not folder.is_dir():
        kind = "is a file, not a model folder" if folder.exists() else "does not exist"
        raise MissingInputError(f"{folder} {kind}", where=where, fix=f"give a folder with {CONFIG}")
    try:
        has = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise MissingInputError(f"{folder} cannot be read: {error.strerror}", where=where) from None
    if CONFIG not in has:
        raise missing_config(folder, has, where=where)
    if {WEIGHTS, SHARDS} & has:
        return
    if {PICKLE, PICKLE_SHARDS} & has:
        what = f"{folder} holds only {PICKLE}, a pickle file that can run code when opened"
        fix = f"lowkey convert {folder} OUT makes a folder with {WEIGHTS}; then give OUT"
    else:
        what = f"{folder} holds no {WEIGHTS}"
        fix = f"if it is published as {PICKLE}, fetch that too; then lowkey convert {folder} OUT"
    raise MissingInputError(what, where=where, fix=fix)


def make_folder(folder: Path) -> None:
    """Makes a folder to save a model into; one that exists is kept as it is.

    Args:
        folder: The folder; those above it are made too.

    Raises:
        CannotWriteError: If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWriteError(f"cannot make the folder {folder}: {error.strerror}") from None


def base_identity(folder: Path) -> dict[str, str]:
    """Names the weights an adapter is trained on, so that another base can be told apart.

    Args:
        folder: A model folder.

    Returns:
        ``name``, the folder's name, and ``sha256`` of its weights: the hash of the one file, or
        that of the lines which ``sha256sum`` prints of the shards, in the order of their names.

    Raises:
        MissingInputError: If the folder is no model folder, or lacks a file of its index.
        DataError: If its index is damaged.
    """
    check_model_folder(folder)
    if (folder / WEIGHTS).exists():
        return {"name": folder.name, "sha256": sha256_of(folder / WEIGHTS)}
    shards = sorted(set(read_index(folder / SHARDS).values()))
    lines = "".join(f"{sha256_of(folder / shard)}  {shard}\n" for shard in shards)
    return {"name": folder.name, "sha256": hashlib.sha256(lines.encode()).hexdigest()}


def missing_config(folder: Path, has: set[str], *, where: str | None) -> MissingInputError:
    """Says what a folder without ``config.json`` is, and what to give instead.

    Args:
        folder: The folder.
        has: The names in it.
        where: The key or option that named it, for messages.

    Returns:
        The error to raise.
    """
    needs = f"a model folder holds {CONFIG} and {WEIGHTS}"
    if has & {"config.yaml", "checkpoints"}:
        what = f"{folder} is a training run, not a model folder"
        fix = f"lowkey export {folder} --format merged --out DIR makes one ({needs})"
        if (folder / "best" / CONFIG).is_file():
            fix = f"did you mean {folder / 'best'}? ({needs})"
    elif ADAPTER_CONFIG in has:
        what = f"{folder} is an adapter, not a model"
        fix = "give the model it was trained on"
    else:
        what, fix = f"{folder} holds no {CONFIG}", needs
    return MissingInputError(what, where=where, fix=fix)
