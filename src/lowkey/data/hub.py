"""Data sets of the Hugging Face Hub and streams of large files, through ``datasets``."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lowkey.data.arrow import as_table, datasets_library, first_line, guarded
from lowkey.data.table import Table
from lowkey.errors import DataError, MissingInputError, UnavailableError


def read_hub(name: str, config: str | None, split: str) -> Table:
    """Reads a data set of the Hugging Face Hub, or its copy in the cache of this machine.

    Args:
        name: ``owner/name``.
        config: The configuration, where it has several.
        split: A split in the words of ``datasets``, such as ``train`` or ``train[:1000]``.

    Returns:
        Its table.

    Raises:
        MissingInputError: If the Hub has no such data set.
        UnavailableError: If the Hub cannot be reached.
        DataError: If it has no such configuration or split, or cannot be read without running code.
    """
    place = name if config is None else f"{name}:{config}"
    loaded = _load(name, config, split)
    return as_table(loaded, f"{place}@{split}")


def stream_hub(
    name: str, config: str | None, split: str
) -> Callable[[int], Iterator[dict[str, Any]]]:
    """Opens a data set of the Hugging Face Hub without fetching more than is read.

    Args:
        name: ``owner/name``.
        config: The configuration, where it has several.
        split: A split in the words of ``datasets``.

    Returns:
        Begins to read the rows anew, after as many as it is told to skip.

    Raises:
        MissingInputError: If the Hub has no such data set.
        UnavailableError: If the Hub cannot be reached.
        DataError: If it cannot be read.
    """
    return _records(_load(name, config, split, streaming=True), name)


def hub_revision(name: str) -> str:
    """Asks the Hub in which revision a data set is.

    Args:
        name: ``owner/name``.

    Returns:
        The hash of the commit; empty if the Hub cannot be reached or does not tell it.
    """
    datasets_library()  # it is quiet from here on
    import huggingface_hub

    try:
        return huggingface_hub.HfApi().dataset_info(name).sha or ""
    except Exception:
        # The client lets the errors of its HTTP library through, which have no common base. Offline
        # there is no revision to ask for; where the data set itself is missing, reading it says so.
        return ""


def stream_file(path: Path, kind: str, encoding: str) -> Callable[[int], Iterator[dict[str, Any]]]:
    """Opens a file that may be larger than the memory.

    Args:
        path: The file.
        kind: "jsonl" or "parquet".
        encoding: Encoding of .jsonl, one in which a line break is the byte that it is in ASCII.

    Returns:
        Begins to read the rows anew, after as many as it is told to skip.

    Raises:
        DataError: If it is not such a file.
    """
    datasets = datasets_library()
    reader, options = ("json", {"encoding": encoding}) if kind == "jsonl" else ("parquet", {})

    def load() -> Any:
        return datasets.load_dataset(
            reader, data_files=str(path), split="train", streaming=True, **options
        )

    return _records(guarded(load, f"{path} cannot be streamed"), str(path))


def _records(stream: Any, place: str) -> Callable[[int], Iterator[dict[str, Any]]]:
    """Reads a stream of ``datasets``; what it raises on the way becomes one line."""

    def read(skip: int) -> Iterator[dict[str, Any]]:
        try:
            yield from stream.skip(skip)
        except Exception as error:
            # As below: many readers, dozens of types, and the user's data set is the cause.
            raise DataError(f"{place} cannot be read ({first_line(error)})") from None

    return read


def _load(name: str, config: str | None, split: str, **options: bool) -> Any:
    """Loads from the Hub or its cache; whatever goes wrong becomes one line."""
    datasets = datasets_library()
    place = name if config is None else f"{name}:{config}"
    try:
        loaded = datasets.load_dataset(name, config, split=split, **options)
    except datasets.exceptions.DatasetNotFoundError:
        fix = "check the name; a private one needs 'hf auth login'"
        raise MissingInputError(f'no data set "{name}" here or on the Hub', fix=fix) from None
    except (OSError, RuntimeError) as error:
        if not isinstance(error, ConnectionError) and "offline" not in str(error).lower():
            raise DataError(f"{place} cannot be read ({first_line(error)})") from None
        raise UnavailableError(
            f'data set "{place}" is no file here and the hub cannot be reached (offline)',
            fix=f"download it elsewhere with 'hf download --repo-type dataset {name}' "
            "and give the path",
        ) from None
    except Exception as error:
        # Whatever the many readers behind the library raise, the user's data set is the cause.
        raise DataError(f"{place} cannot be read ({first_line(error)})") from None
    return loaded
