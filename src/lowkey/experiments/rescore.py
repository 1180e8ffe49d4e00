"""Scores a model before and after its weights are changed, on the rows of its run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lowkey.config import load_recipe
from lowkey.data.rows import Rows
from lowkey.data.sources import read_rows
from lowkey.errors import LowkeyError, MissingInputError
from lowkey.experiments.answers import columns_of
from lowkey.experiments.config import FinetuneRecipe, TranslationRecipe
from lowkey.experiments.evaluation import recipe_of
from lowkey.experiments.method import parameter_counts
from lowkey.experiments.samples import label_samples, text_samples
from lowkey.experiments.splits import read_splits
from lowkey.metrics.intervals import Score
from lowkey.pipelines.answerer import Answerer
from lowkey.pipelines.bundle import Facts, as_metrics
from lowkey.pipelines.calibration import calibrated
from lowkey.pipelines.classifier import TextClassifier
from lowkey.pipelines.load import AnyPipeline
from lowkey.pipelines.translator import Translator


@dataclass(frozen=True)
class Before:
    """What a model scored before it was changed.

    Attributes:
        rows: The rows of each split that was found: validation, and test where there is one.
        scores: The scores on each of them.
        reason: Why there are none; None if there are, or if none were wanted.
    """

    rows: Mapping[str, Rows] = field(default_factory=dict)
    scores: Mapping[str, Mapping[str, Score]] = field(default_factory=dict)
    reason: str | None = None


def score_before(run: Path, pipeline: AnyPipeline) -> Before:
    """Scores a model on what its run was scored on, if that is still where it was.

    Args:
        run: The run folder, or a bundle.
        pipeline: Its model.

    Returns:
        The scores, or why there are none.
    """
    try:
        rows = _rows_of(run, pipeline.facts)
        return Before(rows, {name: _score(pipeline, part)[0] for name, part in rows.items()})
    except LowkeyError as error:
        return Before(reason=str(error))


def score_after(before: Before, pipeline: AnyPipeline) -> tuple[dict[str, Any], dict[str, Any]]:
    """Scores the changed model on the same rows.

    Args:
        before: What the first model scored.
        pipeline: The changed one.

    Returns:
        By split and metric, the score before and after; and the facts about the changed model
        that scoring tells. Without scores these say nothing: the old ones are of other weights.
    """
    compared: dict[str, Any] = {}
    told: dict[str, Any] = {"metrics": {}, "samples": []}
    for name, rows in before.rows.items():
        scores, samples = _score(pipeline, rows)
        old, new = as_metrics(before.scores[name]), as_metrics(scores)
        compared[name] = {m: {"before": old[m], "after": new[m]} for m in new}
        # Test comes last where there is one: a bundle's scores are those of its test set.
        told = {"metrics": new, "samples": samples}
    return compared, told


def refit(pipeline: AnyPipeline, before: Before) -> None:
    """Fits anew what was fitted to the old weights: temperature and thresholds.

    Without validation rows a calibration is left out; a threshold for no answer stays as it was,
    for without one every question would get an answer.

    Args:
        pipeline: The changed model; its facts are replaced.
        before: What the first model scored, with its rows.
    """
    facts, rows = pipeline.facts, before.rows.get("validation")
    pipeline.facts = facts.model_copy(update={"calibration": None, "notes": []})
    if rows is None:
        return
    if isinstance(pipeline, Answerer) and facts.null_threshold is not None:
        examples = pipeline.examples(rows)
        pipeline.fit_threshold(examples, pipeline.find(examples))
    if isinstance(pipeline, TextClassifier) and facts.calibration is not None:
        examples = pipeline.examples(rows)
        assert examples.labels is not None, "validation rows have labels"
        found = calibrated(pipeline.facts, pipeline.logits(examples), examples.labels)
        pipeline.facts = pipeline.facts.model_copy(update={"calibration": found})


def recount(facts: Facts, pipeline: AnyPipeline) -> Facts:
    """Counts the parameters of a changed model anew; what the training took stays.

    Args:
        facts: What is said of it.
        pipeline: The model, adapted.

    Returns:
        The facts, where they hold such counts with the new ones.
    """
    head = [] if isinstance(pipeline, Translator) else pipeline.model.head
    counts = parameter_counts(pipeline.model, head)
    known = {key: value for key, value in counts.items() if key in facts.counts}
    return facts.model_copy(update={"counts": {**facts.counts, **known}})


def _rows_of(run: Path, facts: Facts) -> dict[str, Rows]:
    """Reads the rows that the run chose its best step by, and its test rows."""
    file = recipe_of(run)
    if file is None:
        raise MissingInputError(f"{run} lies in no run, so that its data is not known")
    cls = TranslationRecipe if facts.kind == "translation" else FinetuneRecipe
    recipe = load_recipe(cls, file)
    data, columns = recipe.data, columns_of(facts)
    if data.validation is None:
        splits = read_splits(data, columns, recipe.train.seed, lambda _: None)
        return {"validation": splits.validation} | ({"test": splits.test} if splits.test else {})
    named = {"validation": data.validation, "test": data.test}
    return {
        name: read_rows(source, data, columns, key=f"data.{name}")
        for name, source in named.items()
        if source is not None
    }


def _score(pipeline: AnyPipeline, rows: Rows) -> tuple[dict[str, Score], list[dict[str, Any]]]:
    """Scores a model, and shows some rows with what it made of them."""
    if isinstance(pipeline, Translator):
        scores, outputs = pipeline.score(rows)
        return scores, text_samples(rows, outputs)
    return pipeline.score_rows(rows), label_samples(pipeline, rows)
