"""What all estimators share: a recipe made of their parameters, a run, and a folder to keep."""

import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, TypeVar

from pydantic import Field, JsonValue, ValidationError
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from lowkey.config import Config
from lowkey.errors import ConfigError, DataError
from lowkey.files import read_json, refuse_full_folder, staged_folder, write_json, write_text
from lowkey.hf.model_folder import make_folder
from lowkey.pipelines.bundle import first_problem
from lowkey.pipelines.load import load
from lowkey.run_folder import RunFolder, resolve_bundle
from lowkey.training.progress import Progress, progress_for

ESTIMATOR_FILE = "estimator.json"

E = TypeVar("E", bound="Estimator")


class SavedEstimator(Config):
    """What a saved estimator knows beside its bundle.

    Attributes:
        parameters: What it was made with.
        classes: The labels that it was given, in the order of the outputs; None where it has none.
    """

    parameters: dict[str, JsonValue] = Field(max_length=100)
    classes: list[str | int | float | bool] | None = Field(default=None, max_length=100_000)


class Estimator(BaseEstimator, ABC):
    """An estimator of scikit-learn whose ``fit`` is a run like that of the command line.

    Parameters are kept as they are given, as scikit-learn asks, and checked by ``fit``. The rows go
    through the files of the run, so that what is trained is what the same recipe trains.
    """

    kind: ClassVar[str]
    """What the facts of its bundles say."""
    settings: Mapping[str, Any] | None
    out: str | Path | None
    device: str
    verbose: bool

    @abstractmethod
    def _values(self) -> dict[str, Any]:
        """Writes the parameters as keys of the recipe; those that are None are left out."""

    @abstractmethod
    def _train(self, values: Mapping[str, Any], run: Path, progress: Progress) -> None:
        """Runs the training of a recipe with these values."""

    def save(self, folder: str | Path) -> None:
        """Writes the model and the parameters; ``lowkey predict`` reads the folder too.

        Args:
            folder: A new folder.

        Raises:
            NotFittedError: If there is no model yet.
            ConfigError: If the folder holds something.
            CannotWriteError: If it cannot be written.
        """
        check_is_fitted(self, "pipeline_")
        folder = Path(folder)
        refuse_full_folder(folder, where="save")
        classes = getattr(self, "classes_", None)
        about = SavedEstimator(
            parameters={key: plain(value) for key, value in self.get_params(deep=False).items()},
            classes=None if classes is None else [plain(one) for one in classes],
        )
        with staged_folder(folder) as stage:
            self.pipeline_.save(stage)
            write_json(stage / ESTIMATOR_FILE, about.model_dump(mode="json"))

    @classmethod
    def load(cls: type[E], folder: str | Path, *, device: str = "auto") -> E:
        """Opens a saved estimator, or the model of a run.

        Of a run only those parameters are known that its bundle tells; the others are as usual.

        Args:
            folder: What ``save`` has written, a run folder, or a bundle.
            device: Where to compute.

        Returns:
            The fitted estimator.

        Raises:
            MissingInputError: If there is no such folder, or its base model is not there.
            DataError: If a file is damaged.
            ConfigError: If the model is of another kind.
        """
        path = resolve_bundle(Path(folder))
        pipeline = load(path, device=device)
        if pipeline.facts.kind != cls.kind:
            raise ConfigError(
                f"{folder} is a model of {pipeline.facts.kind}", fix="load it by lowkey.load"
            )
        saved = _read(path / ESTIMATOR_FILE)
        known = inspect.signature(cls).parameters
        given = saved.parameters if saved else cls._parameters_of(pipeline)
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise DataError(f"unknown parameter {unknown[0]}", where=str(path / ESTIMATOR_FILE))
        estimator = cls(**given)
        estimator._take(pipeline, saved.classes if saved else None)
        return estimator

    @classmethod
    @abstractmethod
    def _parameters_of(cls, pipeline: Any) -> dict[str, Any]:
        """What the bundle tells of the parameters, of a model that no estimator has made."""

    def _take(self, pipeline: Any, classes: Sequence[Any] | None) -> None:
        """Takes over a trained model."""
        self.pipeline_ = pipeline

    def _fit(
        self,
        rows: Sequence[Mapping[str, Any]],
        validation: Sequence[Mapping[str, Any]] | None,
        values: Mapping[str, Any],
    ) -> Any:
        """Trains on rows, and opens the best model of the run."""
        if self.out is not None and RunFolder(Path(self.out)).exists():
            fix = "name a new folder, or leave it out to keep nothing"
            raise ConfigError(f"{self.out} already holds a run", where="out", fix=fix)
        with TemporaryDirectory(prefix="lowkey-") as scratch:
            run = Path(scratch if self.out is None else self.out)
            values = {key: value for key, value in values.items() if value is not None}
            for name, part in (("train", rows), ("validation", validation)):
                if part is not None:
                    values[f"data.{name}"] = str(_write(run / "data" / f"{name}.jsonl", part))
            values |= self.settings or {}
            values = {key: plain(value) for key, value in values.items()}
            self._train(values, run, progress_for() if self.verbose else Progress())
            return load(run, device=self.device)


def rows_of(**columns: Collection[Any]) -> list[dict[str, Any]]:
    """Makes rows of columns.

    Args:
        **columns: The columns, equally long.

    Returns:
        The rows, in plain values.

    Raises:
        ValueError: If the columns are not equally long, or empty.
    """
    check_consistent_length(*columns.values())
    names = list(columns)
    rows = [
        {name: plain(value) for name, value in zip(names, row, strict=True)}
        for row in zip(*columns.values(), strict=True)
    ]
    if not rows:
        raise ValueError("there are no rows")
    return rows


def refuse_bare(values: Any) -> None:
    """Refuses what is no column of texts, though one can go through it: a text, or a whole table.

    Args:
        values: What was given.

    Raises:
        ValueError: If it is one of them.
    """
    if isinstance(values, str):
        raise ValueError("give a list of texts, not one text")
    if hasattr(values, "columns"):
        raise ValueError("give one column of the table")


def plain(value: Any) -> Any:
    """Turns values of numpy and pandas into those that JSON knows.

    Args:
        value: A number, text, list, mapping or array.

    Returns:
        The same in plain values.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, str | Path):
        return str(value)
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Writes rows as JSONL; what is no text is left for the reader to refuse, with its line."""
    make_folder(path.parent)
    write_text(path, "".join(f"{json.dumps(row)}\n" for row in rows))
    return path.resolve()


def _read(path: Path) -> SavedEstimator | None:
    if not path.exists():
        return None
    try:
        return SavedEstimator.model_validate(read_json(path))
    except ValidationError as error:
        raise DataError(first_problem(error), where=str(path)) from None
