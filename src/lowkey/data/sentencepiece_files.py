"""The files of a SentencePiece tokenizer, as a Marian folder has them: read and checked."""

from pathlib import Path

from lowkey.data.tokenizer_files import MAX_BYTES
from lowkey.errors import DataError, shown
from lowkey.files import MIB, open_regular, read_json

SPECIALS = {"unk_token": "<unk>", "eos_token": "</s>", "pad_token": "<pad>"}
"""The names of the special tokens in ``tokenizer_config.json``, and what they are by default."""

_MAX_ENTRIES = 10_000_000


def read_pieces(path: Path) -> bytes:
    """Reads a SentencePiece model without opening it.

    Args:
        path: The file.

    Returns:
        Its content.

    Raises:
        MissingInputError: If it is not there or is no regular file.
        DataError: If it is empty or larger than any such file.
    """
    with open_regular(path) as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise DataError(f"{path} is larger than the {MAX_BYTES // MIB} MiB such a file may have")
    if not data:
        raise DataError(f"{path} is empty (0 bytes)", fix="fetch it again")
    return data


def read_vocabulary(path: Path) -> dict[str, int]:
    """Reads a ``vocab.json`` of tokens and ids.

    Args:
        path: The file.

    Returns:
        The id of each token.

    Raises:
        MissingInputError: If it is not there or is no regular file.
        DataError: If it holds anything else, or an id twice.
    """
    data = read_json(path, max_bytes=MAX_BYTES)
    if not isinstance(data, dict) or not data:
        raise DataError("expected an object of tokens and their ids", where=str(path))
    seen: dict[int, str] = {}
    for token, number in data.items():
        if type(number) is not int or not 0 <= number < _MAX_ENTRIES:
            raise DataError(f"the id of {shown(token)} is {shown(number)}", where=str(path))
        if number in seen:
            what = f"{shown(seen[number])} and {shown(token)} both have the id {number}"
            raise DataError(what, where=str(path))
        seen[number] = token
    return data


def read_specials(path: Path) -> dict[str, str]:
    """Reads the special tokens of a ``tokenizer_config.json``, if there is one.

    Args:
        path: The file.

    Returns:
        The tokens under the keys of ``SPECIALS``.

    Raises:
        DataError: If the file holds something else under one of the keys, or asks for pieces to
            be drawn at random.
    """
    settings = read_json(path) if path.exists() else {}
    if not isinstance(settings, dict):
        raise DataError("expected a JSON object", where=str(path))
    if settings.get("sp_model_kwargs"):
        raise DataError(
            f"sp_model_kwargs {shown(settings['sp_model_kwargs'])} is not supported",
            where=str(path),
            fix="the same text always gives the same pieces here",
        )
    found = {}
    for name, default in SPECIALS.items():
        token = settings.get(name) or default
        # transformers writes a token as a text, or as an object that holds it.
        token = token.get("content") if isinstance(token, dict) else token
        if not isinstance(token, str):
            raise DataError(f"{name} must be a text, got {shown(settings[name])}", where=str(path))
        found[name] = token
    return found
