"""Tables of Arrow through the ``datasets`` library: Parquet files and saved data sets."""

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lowkey.data.table import Table
from lowkey.errors import DataError, MissingInputError


def read_parquet(path: Path) -> Table:
    """Reads a Parquet file.

    Args:
        path: The file.

    Returns:
        Its table.

    Raises:
        DataError: If it is not a whole Parquet file.
    """
    datasets = datasets_library()

    def read() -> Any:
        # The library first writes a copy into a cache; ours is gone once the rows are in memory.
        with tempfile.TemporaryDirectory() as cache:
            return datasets.Dataset.from_parquet(str(path), keep_in_memory=True, cache_dir=cache)

    return as_table(guarded(read, f"{path} is not a Parquet file that can be read"), str(path))


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
    datasets = datasets_library()
    from pyarrow import Table as ArrowTable
    from pyarrow import parquet

    what, first = f"{path} is not a Parquet file that can be read", 1
    file = guarded(lambda: parquet.ParquetFile(path), what)
    batches = file.iter_batches(batch_size=size)
    while (batch := guarded(lambda: next(batches, None), what)) is not None:
        part = datasets.Dataset(ArrowTable.from_batches([batch]))
        yield as_table(part, str(path), first)
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
    datasets = datasets_library()
    what = f"{folder} is not a folder of datasets' save_to_disk that can be read"
    loaded = guarded(lambda: datasets.load_from_disk(str(folder)), what)
    if isinstance(loaded, datasets.DatasetDict):
        if split not in loaded:
            raise MissingInputError(f'{folder} has no split "{split}"; it has: {", ".join(loaded)}')
        loaded = loaded[split]
    return as_table(loaded, str(folder))


def datasets_library() -> Any:
    """Imports ``datasets``, which takes a second and which most runs do not need.

    Returns:
        The module, silenced.
    """
    import datasets

    datasets.disable_progress_bars()
    for name in ("datasets", "huggingface_hub"):
        # Before they raise they print a line for every retry and every cause; we say it in one.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return datasets


def guarded(read: Callable[[], Any], what: str) -> Any:
    """Runs a reader and turns whatever it raises into one line.

    Args:
        read: The reader.
        what: What its failure means.

    Returns:
        What it returns.

    Raises:
        DataError: If it raises.
    """
    try:
        return read()
    except Exception as error:
        # pyarrow and datasets raise dozens of types for a broken file; all of them mean the same.
        raise DataError(f"{what} ({first_line(error)})") from None


def as_table(dataset: Any, place: str, first: int = 1) -> Table:
    """Wraps a data set; class labels get their names, and a column of objects becomes several.

    Args:
        dataset: A ``datasets.Dataset``.
        place: Where it comes from, for messages.
        first: Number of its first row.

    Returns:
        Its table.
    """
    dataset = dataset.flatten()

    def column(name: str) -> list[Any]:
        values, feature = dataset[name][:], dataset.features[name]
        # A list of class labels, as tags of words are, has a feature for its elements.
        class_names = getattr(getattr(feature, "feature", feature), "names", None)
        return values if class_names is None else [_named(value, class_names) for value in values]

    def part(start: int, stop: int) -> Table:
        rows = dataset.select(range(start, min(stop, len(dataset))))
        return as_table(rows, place, first + start)

    return Table(place, tuple(dataset.column_names), column, len(dataset), first=first, part=part)


def _named(value: Any, class_names: Sequence[str]) -> Any:
    """Puts names in the place of class labels; -1 is one kept secret, as in the tests of GLUE."""
    if isinstance(value, list):
        return [_named(one, class_names) for one in value]
    return None if value is None or value < 0 else class_names[value]


def first_line(error: BaseException) -> str:
    """Shortens a foreign message to what fits on a line.

    Args:
        error: What was raised.

    Returns:
        The beginning of the first line, or the name of the error if it says nothing.
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
