"""Tables through the ``datasets`` library: Parquet, saved data sets and the Hugging Face Hub."""

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lowkey.data.table import Table
from lowkey.errors import DataError, MissingInputError, UnavailableError


def read_parquet(path: Path) -> Table:
    """Reads a Parquet file.

    Args:
        path: The file.

    Returns:
        Its table.

    Raises:
        DataError: If it is not a whole Parquet file.
    """
    datasets = _library()

    def read() -> Any:
        # The library first writes a copy into a cache; ours is gone once the rows are in memory.
        with tempfile.TemporaryDirectory() as cache:
            return datasets.Dataset.from_parquet(str(path), keep_in_memory=True, cache_dir=cache)

    return _table(_guarded(read, f"{path} is not a Parquet file that can be read"), str(path))


def read_parquet_parts(path: Path, size: int) -> Iterator[Table]:
    """Reads a Parquet file that may be larger than the memory, a part at a time.

    Args:
        path: The file.
        size: Most rows of a part.

    Yields:
        Its rows, in their order.

    Raises:
        DataError: If it is not a whole Parquet file.
    """
    datasets = _library()
    from pyarrow import Table as ArrowTable
    from pyarrow import parquet

    what, first = f"{path} is not a Parquet file that can be read", 1
    file = _guarded(lambda: parquet.ParquetFile(path), what)
    batches = file.iter_batches(batch_size=size)
    while (batch := _guarded(lambda: next(batches, None), what)) is not None:
        part = datasets.Dataset(ArrowTable.from_batches([batch]))
        yield _table(part, str(path), first)
        first += len(part)


def read_saved_folder(folder: Path, split: str) -> Table:
    """Reads a folder written by ``save_to_disk``.

    Args:
        folder: The folder of a data set, or of a dictionary of them.
        split: Which entry of a dictionary to take.

    Returns:
        Its table.

    Raises:
        MissingInputError: If the folder holds no such split.
        DataError: If the folder is damaged.
    """
    datasets = _library()
    what = f"{folder} is not a folder of datasets' save_to_disk that can be read"
    loaded = _guarded(lambda: datasets.load_from_disk(str(folder)), what)
    if isinstance(loaded, datasets.DatasetDict):
        if split not in loaded:
            raise MissingInputError(f'{folder} has no split "{split}"; it has: {", ".join(loaded)}')
        loaded = loaded[split]
    return _table(loaded, str(folder))


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
    return _table(loaded, f"{place}@{split}")


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
    _library()  # it is quiet from here on
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
    datasets = _library()
    reader, options = ("json", {"encoding": encoding}) if kind == "jsonl" else ("parquet", {})

    def load() -> Any:
        return datasets.load_dataset(
            reader, data_files=str(path), split="train", streaming=True, **options
        )

    return _records(_guarded(load, f"{path} cannot be streamed"), str(path))


def _records(stream: Any, place: str) -> Callable[[int], Iterator[dict[str, Any]]]:
    """Reads a stream of ``datasets``; what it raises on the way becomes one line."""

    def read(skip: int) -> Iterator[dict[str, Any]]:
        try:
            yield from stream.skip(skip)
        except Exception as error:
            # As below: many readers, dozens of types, and the user's data set is the cause.
            raise DataError(f"{place} cannot be read ({_first_line(error)})") from None

    return read


def _load(name: str, config: str | None, split: str, **options: bool) -> Any:
    """Loads from the Hub or its cache; whatever goes wrong becomes one line."""
    datasets = _library()
    place = name if config is None else f"{name}:{config}"
    try:
        loaded = datasets.load_dataset(name, config, split=split, **options)
    except datasets.exceptions.DatasetNotFoundError:
        fix = "check the name; a private one needs 'hf auth login'"
        raise MissingInputError(f'no data set "{name}" here or on the Hub', fix=fix) from None
    except (OSError, RuntimeError) as error:
        if not isinstance(error, ConnectionError) and "offline" not in str(error).lower():
            raise DataError(f"{place} cannot be read ({_first_line(error)})") from None
        raise UnavailableError(
            f'data set "{place}" is no file here and the hub cannot be reached (offline)',
            fix=f"download it elsewhere with 'hf download --repo-type dataset {name}' "
            "and give the path",
        ) from None
    except Exception as error:
        # Whatever the many readers behind the library raise, the user's data set is the cause.
        raise DataError(f"{place} cannot be read ({_first_line(error)})") from None
    return loaded


def _library() -> Any:
    """Imports ``datasets``, which takes a second and which most runs do not need."""
    import datasets

    datasets.disable_progress_bars()
    for name in ("datasets", "huggingface_hub"):
        # Before they raise they print a line for every retry and every cause; we say it in one.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return datasets


def _guarded(read: Callable[[], Any], what: str) -> Any:
    """Runs a reader and turns whatever it raises into one line."""
    try:
        return read()
    except Exception as error:
        # pyarrow and datasets raise dozens of types for a broken file; all of them mean the same.
        raise DataError(f"{what} ({_first_line(error)})") from None


def _table(dataset: Any, place: str, first: int = 1) -> Table:
    """Wraps a data set; class labels get their names, and a column of objects becomes several."""
    dataset = dataset.flatten()

    def column(name: str) -> list[Any]:
        values, feature = dataset[name][:], dataset.features[name]
        # A list of class labels, as tags of words are, has a feature for its elements.
        class_names = getattr(getattr(feature, "feature", feature), "names", None)
        return values if class_names is None else [_named(value, class_names) for value in values]

    def part(start: int, stop: int) -> Table:
        rows = dataset.select(range(start, min(stop, len(dataset))))
        return _table(rows, place, first + start)

    return Table(place, tuple(dataset.column_names), column, len(dataset), first=first, part=part)


def _named(value: Any, class_names: Sequence[str]) -> Any:
    """Puts names in the place of class labels; -1 is one kept secret, as in the tests of GLUE."""
    if isinstance(value, list):
        return [_named(one, class_names) for one in value]
    return None if value is None or value < 0 else class_names[value]


def _first_line(error: BaseException) -> str:
    """Shortens a foreign message to what fits on a line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
