"""The index of weights that stand in several files: which file holds which tensor."""

import re
from pathlib import Path

from pydantic import Field, field_validator

from lowkey.errors import MissingInputError, shown
from lowkey.hf.schema import Schema, parse, read_object

INCOMPLETE = "the download is incomplete, or the index is of another model; fetch it again"

_MAX_SHARDS = 1000
# A name and nothing else: an index must not lead out of its folder.
_SHARD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,200}\.safetensors")


class _Index(Schema):
    """``model.safetensors.index.json``: the file of each tensor."""

    weight_map: dict[str, str] = Field(min_length=1)

    @field_validator("weight_map")
    @classmethod
    def _plain_names(cls, value: dict[str, str]) -> dict[str, str]:
        for tensor, shard in value.items():
            if not _SHARD_NAME.fullmatch(shard):
                raise ValueError(
                    f"{shown(tensor)} is said to be in {shown(shard)}, which is no name of a"
                    " safetensors file in this folder"
                )
        if len(set(value.values())) > _MAX_SHARDS:
            raise ValueError(f"weight_map names more than {_MAX_SHARDS} files")
        return value


def read_index(path: Path) -> dict[str, str]:
    """Reads which file is said to hold which tensor; the files themselves are not opened.

    Args:
        path: ``model.safetensors.index.json`` of a model folder.

    Returns:
        The name of a file beside the index for each tensor.

    Raises:
        MissingInputError: If the index or one of the files is not there.
        DataError: If the index is damaged, or names something else than a safetensors file beside
            it.
    """
    data = read_object(path)
    shards = parse(_Index, data, path=path, harmless=lambda key, _: key == "metadata").weight_map
    for shard in dict.fromkeys(shards.values()):
        if not (path.parent / shard).exists():
            what = f"{path.parent} lacks {shard}, which {path.name} names"
            raise MissingInputError(what, fix=INCOMPLETE)
    return shards
