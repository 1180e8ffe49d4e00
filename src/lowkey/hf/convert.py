"""From a published folder that holds a pickle to one that every loader here reads.

The pickle is opened in a process of its own (`lowkey.hf.pickle_door`), shut off from network,
files and secrets and limited in time and memory. What it hands back is a foreign file like any
other: it is checked in full before the new folder takes its place.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lowkey.errors import ConfigError, DataError, LowkeyError, MissingInputError, shown
from lowkey.files import (
    MIB,
    open_regular,
    read_json,
    read_tensors,
    refuse_full_folder,
    staged_folder,
)
from lowkey.hf.model_folder import (
    ADAPTER_CONFIG,
    CONFIG,
    PICKLE,
    PICKLE_SHARDS,
    SHARDS,
    WEIGHTS,
    missing_config,
)
from lowkey.hf.pickle_process import write_from_pickles

_CARRIED = {".json", ".txt", ".spm", ".model"}
_MAX_CARRIED = 256 * MIB
_SHARD = re.compile(r"pytorch_model-\d{5}-of-\d{5}\.bin", re.ASCII)
_PICKLE_STARTS = (b"\x80", b"PK")


def convert(folder: Path, out: Path, *, seconds: int | None = None) -> str:
    """Makes a model folder out of one whose weights are pickled.

    Args:
        folder: A folder with ``config.json`` and ``pytorch_model.bin``, or several such files and
            their index.
        out: The folder to make; must not exist, or be empty.
        seconds: Greatest processor time for opening the pickle; None allows what its size needs.

    Returns:
        What was written, and what was left behind.

    Raises:
        ConfigError: If there is nothing to convert, if ``out`` holds something, or if one of the
            folders lies in the other.
        MissingInputError: If the folder, its config or one of its weights files is not there.
        DataError: If a pickle is not tensors by name and nothing else, is damaged, asks for more
            time or memory than its size needs, or holds NaN; or if a file is a link that leads
            out of the folder.
        CannotWriteError: If the new folder cannot be written.
    """
    refuse_full_folder(out, where="OUT")
    names = _names(folder)
    new, old = (Path(os.path.realpath(path)) for path in (out, folder))
    if new.is_relative_to(old) or old.is_relative_to(new):
        what = f"{out} and {folder} lie one in the other"
        raise ConfigError(what, where="OUT", fix="name a folder beside it")
    pickles, listed = _weights(folder, names)
    carried = [name for name in names if _is_carried(folder, name)]
    with _without_traces(out), staged_folder(out) as stage:
        written = stage / WEIGHTS
        write_from_pickles([folder / name for name in pickles], written, seconds=seconds)
        count = _check(written, folder / pickles[0], listed)
        for name in carried:
            _carry(folder / name, stage / name)
    left = [name for name in names if name not in carried]
    return (
        f"{out}: {count} tensors in {WEIGHTS}, with {', '.join(carried)}; "
        f"left behind: {', '.join(map(shown, left))}"
    )


def _names(folder: Path) -> list[str]:
    """Lists a folder, or says why it is none that can be converted."""
    if not folder.is_dir():
        kind = "is a file, not a folder" if folder.exists() else "does not exist"
        raise MissingInputError(f"{folder} {kind}", where="IN", fix=f"give the folder of {PICKLE}")
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise MissingInputError(f"{folder} cannot be read: {error.strerror}", where="IN") from None
    if WEIGHTS in names or SHARDS in names:
        has = WEIGHTS if WEIGHTS in names else SHARDS
        what = f"{folder} already holds {has}: there is nothing to do"
        raise ConfigError(what, where="IN", fix="use that folder as it is")
    if not {PICKLE, PICKLE_SHARDS} & set(names):
        what = f"{folder} holds no {PICKLE}; it holds {_some(names)}"
        fix = "give the model's folder" if ADAPTER_CONFIG not in names else None
        raise MissingInputError(what, where="IN", fix=fix)
    if CONFIG not in names:
        raise missing_config(folder, set(names), where="IN")
    return names


def _weights(folder: Path, names: list[str]) -> tuple[list[str], set[str] | None]:
    """Finds the pickle files, and the names of the tensors if there is an index of them."""
    if PICKLE in names:
        _refuse_link_out(folder, PICKLE)
        return [PICKLE], None
    _refuse_link_out(folder, PICKLE_SHARDS)
    where = str(folder / PICKLE_SHARDS)
    index = read_json(folder / PICKLE_SHARDS)
    places = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(places, dict) or not places:
        raise DataError("has no table weight_map", where=where)
    shards = set()
    for shard in places.values():
        if not isinstance(shard, str) or not _SHARD.fullmatch(shard):
            raise DataError(f"names {shown(shard)}, which is no part of {PICKLE}", where=where)
        shards.add(shard)
    for shard in sorted(shards):
        _refuse_link_out(folder, shard)
    return sorted(shards), set(places)


def _is_carried(folder: Path, name: str) -> bool:
    """Tells whether a file is data that a loader needs; refuses one that leads out of the folder.

    Whatever an ending says, what begins like a pickle stays behind.
    """
    path = folder / name
    if path.suffix not in _CARRIED or name.endswith(".index.json") or path.is_dir():
        return False
    _refuse_link_out(folder, name)
    with open_regular(path) as file:
        return not file.read(2).startswith(_PICKLE_STARTS)


def _refuse_link_out(folder: Path, name: str) -> None:
    """Refuses a link to a place outside the folder.

    The Hub's own cache keeps files in ``blobs``, and in ``snapshots/REVISION`` links to them.
    """
    home, target = (Path(os.path.realpath(path)) for path in (folder, folder / name))
    allowed = [home]
    if home.parent.name == "snapshots":
        allowed.append(home.parent.parent / "blobs")
    if not any(target.is_relative_to(place) for place in allowed):
        what = f"{folder / name} is a link that leads out of the folder"
        raise DataError(what, fix="put the file itself there, if you know what it is")


def _check(written: Path, source: Path, listed: set[str] | None) -> int:
    """Reads the new file in full, as any foreign one, and counts its tensors."""
    try:
        names = read_tensors(written).keys()
    except LowkeyError as error:
        # The file stands under a hidden name, and is as good or bad as what it was made from.
        what = error.what.replace(str(written), str(source))
        raise DataError(f"{what} (after conversion)", fix=f"{source.name} is damaged") from None
    if listed is not None and names != listed:
        first = shown(sorted(names ^ listed)[0])
        what = f"the index and the files disagree about the tensor {first}"
        raise DataError(what, where=str(source.with_name(PICKLE_SHARDS)))
    return len(names)


def _carry(source: Path, target: Path) -> None:
    with open_regular(source) as file:
        data = file.read(_MAX_CARRIED + 1)
    if len(data) > _MAX_CARRIED:
        raise DataError(f"{source} is larger than {_MAX_CARRIED // MIB} MiB")
    target.write_bytes(data)


@contextmanager
def _without_traces(out: Path) -> Iterator[None]:
    """Removes the folders above ``out`` again, if they were made for it and it did not come."""
    made = [parent for parent in out.absolute().parents if not parent.exists()]
    try:
        yield
    except BaseException:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        raise


def _some(names: list[str]) -> str:
    if not names:
        return "nothing"
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(map(shown, names[:5])) + more
