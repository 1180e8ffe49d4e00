"""The rows of a task: read, split where a part is missing, and planned into batches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lowkey import runtime
from lowkey.data.batching import BatchPlan, plan_batches
from lowkey.data.config import DataConfig
from lowkey.data.rows import Rows
from lowkey.data.sources import read_rows
from lowkey.data.stored_rows import is_stored, read_training_rows, take_stored
from lowkey.data.streams import RowStream
from lowkey.errors import DataError
from lowkey.files import Scratch
from lowkey.training.config import TrainConfig

_HELD_OUT = 0.1


@dataclass(frozen=True)
class Splits:
    """The rows of a task.

    Attributes:
        given: All training rows, also those held out for validation and those not drawn; they
            decide task and classes.
        train: What is learned from.
        validation: What the best step is chosen by.
        test: What is scored once at the end; None where there is none.
        stream: Where training rows are read as they are needed, if they are; ``train`` and
            ``given`` are then its first window that holds rows.
        first_window: Number of that window.
        scratch: The disk on which the training rows lie; None if they are in memory.
    """

    given: Rows
    train: Rows
    validation: Rows
    test: Rows | None
    stream: RowStream | None = None
    first_window: int = 0
    scratch: Scratch | None = None

    @property
    def hashes(self) -> dict[str, str]:
        """Hash of the rows that training depends on, by the key of the recipe.

        Of a stream only the first window is hashed; what identifies all of it stands beside.
        """
        hashes = {"data.train": self.train.sha256, "data.validation": self.validation.sha256}
        whole = self.stream.identity() if self.stream else ""
        return hashes | ({"data.train (as a whole)": whole} if whole else {})

    @property
    def scored(self) -> tuple[str, Rows]:
        """The split that the final scores are of, with its name: test where there is one."""
        return ("test", self.test) if self.test else ("validation", self.validation)


def read_splits(
    data: DataConfig,
    columns: Sequence[str],
    seed: int,
    say: Callable[[str], None],
    scratch: Scratch | None = None,
) -> Splits:
    """Reads the splits of a recipe; holds rows out for validation where it names none.

    Args:
        data: Where the rows are.
        columns: Standard columns that must be there.
        seed: Chooses the rows that are held out.
        say: Takes a line for the user.
        scratch: The disk on which many training rows may lie; None keeps them in memory.

    Returns:
        The rows.

    Raises:
        ConfigError: If the disk is asked for and a source cannot be read in portions.
        DataError: If the content of a source is not what it should be, or there are fewer rows than
            are to be learned from.
        MissingInputError: If a source is not there.
        UnavailableError: If the Hub is needed and cannot be reached.
        CannotWriteError: If the disk is full or cannot be written to.
    """
    stream, first_window = None, 0
    if data.streaming:
        stream = RowStream(data.train or "", data, columns, "data.train")
        first_window, train = stream.first()
        given = train
    elif scratch is not None:
        given = train = read_training_rows(
            data.train or "", data, columns, scratch, key="data.train"
        )
    else:
        given = train = read_rows(data.train or "", data, columns, key="data.train")
    if scratch is not None and not is_stored(train):
        scratch = None
    if scratch is not None:
        say(f"the training pairs lie on the disk of {scratch.folder} until the run ends")
    test = None
    if data.test is not None:
        test = read_rows(data.test, data, columns, key="data.test")
    if data.validation is not None:
        validation = read_rows(data.validation, data, columns, key="data.validation")
    else:
        train, validation = hold_out(train, seed)
        say(
            f"no data.validation: {len(validation)} of the training rows are held out"
            " to choose the best step"
        )
    if data.train_rows is not None:
        train = draw_rows(train, data.train_rows)
    return Splits(given, train, validation, test, stream, first_window, scratch)


def hold_out(rows: Rows, seed: int) -> tuple[Rows, Rows]:
    """Splits rows in two, by chance but always the same way.

    Args:
        rows: At least two rows.
        seed: Chooses the rows.

    Returns:
        Nine tenths of the rows, and one tenth, both in the order of the file.

    Raises:
        DataError: If there is only one row.
    """
    count = max(1, round(len(rows) * _HELD_OUT))
    if count >= len(rows):
        raise DataError(f"{rows.place} holds one row; training needs more")
    random = np.random.Generator(np.random.PCG64(runtime.seed_for(seed, "hold out")))
    order = np.argsort(random.random(len(rows)), kind="stable")
    return take_rows(rows, np.sort(order[count:])), take_rows(rows, np.sort(order[:count]))


def draw_rows(rows: Rows, count: int) -> Rows:
    """Draws rows by chance, always the same ones; fewer of them are a part of more.

    Args:
        rows: Some rows.
        count: How many to draw.

    Returns:
        The rows drawn, in the order of the file.

    Raises:
        DataError: If there are fewer.
    """
    if count > len(rows):
        raise DataError(
            f"data.train_rows is {count}, but there are {len(rows)} rows to learn from",
            where=rows.place,
            fix="lower it, or leave it out",
        )
    random = np.random.Generator(np.random.PCG64(runtime.seed_for(0, "train rows")))
    order = np.argsort(random.random(len(rows)), kind="stable")
    return take_rows(rows, np.sort(order[:count]))


def take_rows(rows: Rows, index: np.ndarray) -> Rows:
    """Picks rows.

    Args:
        rows: Some rows.
        index: Their positions.

    Returns:
        The rows picked, in the order of ``index``.
    """
    if is_stored(rows):
        return take_stored(rows, index)
    positions = index.tolist()
    values = {name: [column[i] for i in positions] for name, column in rows.values.items()}
    return replace(rows, values=values, numbers=[rows.numbers[i] for i in positions])


def spread(rows: Rows, count: int) -> Rows:
    """Picks rows evenly from beginning to end.

    Args:
        rows: Some rows.
        count: Most rows to pick.

    Returns:
        The rows picked.
    """
    return take_rows(rows, np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int))


def plan_epoch(lengths: np.ndarray, config: TrainConfig, epoch: int) -> BatchPlan:
    """Plans the batches of an epoch, by examples where the recipe gives a size, else by tokens.

    Args:
        lengths: Tokens of each example.
        config: The section ``train`` of the recipe.
        epoch: Number of the epoch, from 0.

    Returns:
        The examples of each batch; the same for the same seed and epoch.
    """
    size = config.per_device_train_batch_size
    tokens = None if size else config.batch_tokens
    return plan_batches(
        lengths, seed=config.seed, epoch=epoch, batch_tokens=tokens, batch_size=size
    )
