"""Scores trained models on more data, and says whether one is better than another."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lowkey.config import load_recipe
from lowkey.data.config import DataConfig
from lowkey.data.rows import Rows
from lowkey.data.sources import read_rows
from lowkey.errors import ConfigError, MissingInputError
from lowkey.experiments.answers import Answers, answers_of, columns_of, measures_of
from lowkey.experiments.compared import compared, write_outputs
from lowkey.experiments.config import TranslationRecipe
from lowkey.experiments.splits import hold_out
from lowkey.experiments.translation_baselines import translation_baselines
from lowkey.files import read_yaml, refuse_full_folder
from lowkey.pipelines.bundle import FACTS_FILE, Facts, as_metrics
from lowkey.pipelines.load import load
from lowkey.pipelines.published import read_facts
from lowkey.run_folder import RunFolder, resolve_bundle


def evaluate(
    run: Path,
    data: str,
    *,
    base: str | None = None,
    device: str = "auto",
    precision: str = "fp32",
    outputs: Path | None = None,
) -> dict[str, Any]:
    """Scores the model of a run; the data is read as the run read its own.

    Args:
        run: The run folder, or a bundle.
        data: A file, folder or Hub name with labelled rows, as in ``data.test``.
        base: Where the base model is, if not where it was in training.
        device: Where to compute.
        precision: "fp32" (the reference), "bf16" or "auto".
        outputs: A new folder for what the model made of each row; None writes nothing.

    Returns:
        ``rows`` and ``metrics``: each score with value, low, high and n, those of sacrebleu with
        their signature.

    Raises:
        LowkeyError: If the model or the data is not usable, or the folder cannot be written.
    """
    refuse_full_folder(outputs, where="--outputs")
    facts = [read_facts(resolve_bundle(run))]
    systems, rows = _answered([run], facts, data, base, device, precision)
    measures = measures_of(systems, rows, facts[0].kind, [facts[0].task])
    if outputs is not None:
        write_outputs(outputs, systems, rows, measures)
    scores = {name: measure.score() for name, measure in measures.items()}
    return {"rows": len(rows), "metrics": as_metrics(scores)}


def compare(
    runs: Sequence[Path],
    data: str,
    *,
    baselines: bool = False,
    base: str | None = None,
    device: str = "auto",
    precision: str = "fp32",
    outputs: Path | None = None,
) -> dict[str, Any]:
    """Scores several models on the same rows, which are read as the first run read its own.

    Args:
        runs: Run folders, or bundles, of one kind.
        data: A file, folder or Hub name with labelled rows, as in ``data.test``.
        baselines: Whether what a translation costs nothing to reach is scored too.
        base: Where the base model is, for those runs that have one.
        device: Where to compute.
        precision: "fp32" (the reference), "bf16" or "auto".
        outputs: A new folder for what each system made of each row; None writes nothing.

    Returns:
        See :func:`lowkey.experiments.compared.compared`.

    Raises:
        LowkeyError: If a model or the data is not usable, if the runs are of different kinds, if
            there are no baselines for them, or if the folder cannot be written.
    """
    refuse_full_folder(outputs, where="--outputs")
    facts = [read_facts(resolve_bundle(run)) for run in runs]
    _refuse_other_kinds(runs, facts)
    training = _training_rows(runs[0], facts[0]) if baselines else None
    systems, rows = _answered(runs, facts, data, base, device, precision)
    if training is not None:
        systems += [Answers(*named) for named in translation_baselines(training, rows).items()]
    tasks = [one.task for one in facts]
    measures = measures_of(systems, rows, facts[0].kind, tasks)
    if outputs is not None:
        write_outputs(outputs, systems, rows, measures)
    return compared(systems, rows, measures, shown=len(runs))


def compare_outputs(
    outputs: Mapping[str, Sequence[str]], rows: Rows, metrics: str = "text"
) -> dict[str, Any]:
    """Compares what any systems wrote for the same rows, wherever they come from.

    Args:
        outputs: What each system wrote, by its name; the others are compared with the first.
        rows: Rows with source and target, and perhaps alternatives.
        metrics: "text" or "words".

    Returns:
        See :func:`lowkey.experiments.compared.compared`.

    Raises:
        DataError: If a system has not one output for each row.
    """
    systems = [Answers(name, texts) for name, texts in outputs.items()]
    measures = measures_of(systems, rows, "translation", [metrics])
    return compared(systems, rows, measures, shown=len(systems))


def _answered(
    runs: Sequence[Path],
    facts: Sequence[Facts],
    data: str,
    base: str | None,
    device: str,
    precision: str,
) -> tuple[list[Answers], Rows]:
    """Reads the rows once and lets one model after the other answer them."""
    rows: Rows | None = None
    systems = []
    bases = [one.base_model is not None for one in facts]
    for run, has_base in zip(runs, bases, strict=True):
        # A run without a base is refused one only if no other needs it.
        theirs = base if has_base or not any(bases) else None
        pipeline = load(run, base=theirs, device=device, precision=precision)
        if rows is None:
            rows = read_rows(data, _reading_of(run), columns_of(pipeline.facts), key="--data")
        systems.append(answers_of(str(run), pipeline, rows))
    assert rows is not None, "there is at least one run"
    return systems, rows


def _refuse_other_kinds(runs: Sequence[Path], facts: Sequence[Facts]) -> None:
    for run, one in zip(runs, facts, strict=True):
        if one.kind != facts[0].kind:
            raise ConfigError(
                f"{runs[0]} is a model of {facts[0].kind}, {run} one of {one.kind}",
                fix="compare runs of one kind",
            )


def _training_rows(run: Path, facts: Facts) -> Rows:
    """Reads what a translator was trained on, without what was held out for validation."""
    if facts.kind != "translation":
        raise ConfigError(
            f"there are baselines for translations, and {run} is a model of {facts.kind}",
            where="--baselines",
            fix="leave it out",
        )
    recipe_file = recipe_of(run)
    if recipe_file is None:
        raise MissingInputError(
            f"{run} lies in no run, so that its training rows are not known",
            where="--baselines",
            fix="give the run folder",
        )
    recipe = load_recipe(TranslationRecipe, recipe_file)
    if recipe.data.streaming:
        raise ConfigError(
            f"the nearest training pair is sought in memory, and {run} streams its training rows",
            where="--baselines",
            fix="leave it out",
        )
    rows = read_rows(recipe.data.train or "", recipe.data, ("source", "target"), key="data.train")
    return rows if recipe.data.validation else hold_out(rows, recipe.train.seed)[0]


def _reading_of(run: Path) -> DataConfig:
    """Takes from a run's recipe how files are read: columns, encoding and the like."""
    recipe = recipe_of(run)
    if recipe is None:
        return DataConfig()
    data = DataConfig.model_validate(read_yaml(recipe).data.get("data", {}))
    return data.model_copy(update={"format": "auto", "limit": None})


def recipe_of(run: Path) -> Path | None:
    """Finds the recipe of the run that a bundle lies in; any other config.yaml is none of ours.

    Args:
        run: The run folder, or a bundle.

    Returns:
        The recipe; None where the bundle lies in no run.

    Raises:
        MissingInputError: If there is neither a run nor a bundle.
    """
    run_folder = RunFolder(resolve_bundle(run).parent)
    in_a_run = (run_folder.best / FACTS_FILE).is_file() and run_folder.config_file.exists()
    return run_folder.config_file if in_a_run else None
