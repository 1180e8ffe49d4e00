"""What can be refused before torch is imported, which takes seconds, and before anything is made.

The experiments check all of this again; here are the mistakes that people make most.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from lowkey.config import load_recipe
from lowkey.data.answer_places import check_answers
from lowkey.data.config import DataConfig
from lowkey.data.existing_tokenizer import existing_tokenizer
from lowkey.data.label_sets import LabelSets, label_set_map
from lowkey.data.labels import LabelMap
from lowkey.data.parallel_files import parallel_names
from lowkey.data.places import FORMATS
from lowkey.data.rows import Rows
from lowkey.data.sources import read_rows
from lowkey.data.tags import tag_ids, tag_map
from lowkey.errors import ConfigError
from lowkey.experiments.compare_config import CompareRecipe
from lowkey.experiments.config import FinetuneRecipe, TranslationRecipe
from lowkey.experiments.encoder_config import refuse_calibration, refuse_unbalanced
from lowkey.experiments.task import choose_task, columns_for
from lowkey.files import MIB
from lowkey.hf.config import read_config
from lowkey.hf.hub import resolve_model
from lowkey.pipelines.published import find_start
from lowkey.run_folder import RunFolder
from lowkey.runtime import resolve_device

R = TypeVar("R", CompareRecipe, FinetuneRecipe, TranslationRecipe)

# Files up to this size are read here and once more by the experiment, which costs a moment.
_QUICK_BYTES = 16 * MIB


def open_recipe(
    cls: type[R], file: Path | None, settings: Sequence[str], run: Path, *, resume: bool
) -> R:
    """Reads the recipe of a run and makes sure that folder, device, data and model are usable.

    Large files, and what is not on this machine, are left to the experiment.

    Args:
        cls: Which recipe it must be.
        file: The recipe; None for the one that the run was begun with.
        settings: Overrides of the form ``a.b=value``.
        run: The run folder.
        resume: Whether to go on with the run that is there.

    Returns:
        The recipe.

    Raises:
        ConfigError: If the recipe is wrong or meant for the other verb, if the device is not
            there, or if the folder holds a run and this is a new one.
        MissingInputError: If a file or the model is not there, or no run to resume.
        DataError: If the data or the model is not what it should be.
        UnavailableError: If the Hub is needed and cannot be reached.
    """
    folder = RunFolder(run)
    if resume or folder.exists():
        RunFolder.find(run, resume=resume)
    recipe = load_recipe_of(cls, file or folder.config_file, settings)
    refuse_what_is_not_there(recipe)
    return recipe


def load_recipe_of(cls: type[R], file: Path, settings: Sequence[str]) -> R:
    """Reads a recipe, and tells one that is for the other verb.

    Args:
        cls: Which recipe it must be.
        file: The recipe.
        settings: Overrides of the form ``a.b=value``.

    Returns:
        The recipe.

    Raises:
        ConfigError: If the recipe is wrong or meant for the other verb.
        MissingInputError: If the file is not there.
    """
    try:
        return load_recipe(cls, file, settings)
    except ConfigError:
        _refuse_other_kind(cls, file)
        raise


def _refuse_other_kind(cls: type[R], file: Path) -> None:
    """Says that a recipe is for the other verb, if it is; its keys are then all in order."""
    verbs = {FinetuneRecipe: "finetune", TranslationRecipe: "train", CompareRecipe: "compare"}
    for other, verb in verbs.items():
        if not issubclass(cls, other):
            try:
                load_recipe(other, file)
            except ConfigError:
                continue
            fix = f"lowkey {verb} --config {file}"
            raise ConfigError(f"{file} is a recipe for lowkey {verb}", fix=fix)


def refuse_what_is_not_there(recipe: FinetuneRecipe | TranslationRecipe) -> None:
    """Looks at device, data and model.

    Args:
        recipe: The recipe of any verb.

    Raises:
        ConfigError: If the device is not there, or the recipe does not fit the rows.
        MissingInputError: If a file or the model is not there.
        DataError: If the data or the model is not what it should be.
        UnavailableError: If the Hub is needed and cannot be reached.
    """
    if recipe.train.device not in ("auto", "cpu"):
        resolve_device(recipe.train.device)  # only torch can tell, so this imports it
    if isinstance(recipe, TranslationRecipe):
        _read_quick(recipe.data, ("source", "target"))
        for side in ("source", "target"):
            path = getattr(recipe.tokenizer, side).path
            if path is not None:
                existing_tokenizer(path, f"tokenizer.{side}.path")
        if recipe.start_from is not None:
            find_start(recipe.start_from)
        return
    splits = _read_quick(recipe.data, columns_for(recipe.task))
    task = choose_task(recipe.task, splits["train"]).task if "train" in splits else "regress"
    if "train" in splits:
        refuse_unbalanced(task, recipe.train)
        refuse_calibration(task, recipe.calibrate)
    if task == "answer":
        for rows in splits.values():
            check_answers(rows)
    elif task == "tag":
        tags = tag_map(splits["train"], recipe.data.labels)
        for rows in splits.values():
            tag_ids(rows, tags)
    elif task == "multilabel":
        labels = label_set_map(splits["train"], recipe.data.labels)
        for rows in splits.values():
            LabelSets.from_rows(rows, labels)
    elif task not in ("regress", "mlm"):
        labels = LabelMap.from_rows(splits["train"], recipe.data.labels)
        for rows in splits.values():
            labels.ids(rows)
    read_config(resolve_model(recipe.model.path, key="model.path"))


def _read_quick(data: DataConfig, columns: Sequence[str]) -> dict[str, Rows]:
    """Reads the splits that are small files here, or that cannot be read at all."""
    sources = {name: getattr(data, name) for name in ("train", "validation", "test")}
    return {
        name: read_rows(source, data, columns, key=f"data.{name}")
        for name, source in sources.items()
        if source is not None and _is_quick(source, f"data.{name}")
    }


def _is_quick(source: str, key: str) -> bool:
    two = None if Path(source).exists() else parallel_names(source, key)
    if two is not None:
        return all(_is_quick(name, key) for name in two)
    path = Path(source).expanduser()
    if path.exists():
        return path.is_file() and path.stat().st_size <= _QUICK_BYTES
    # What is there under no such name may be on the Hub, or in a package.
    is_file = path.suffix.removeprefix(".") in (*FORMATS, "gz") or path.parent.exists()
    return is_file and not source.startswith("package:")
