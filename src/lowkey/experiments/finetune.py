"""Fine-tunes a pretrained encoder: by LoRA, fully, or by its biases or its head alone.

    rows -> task -> base model -> method -> train -> reload the best -> score -> report

The methods share everything but one ``if``: data, order, batches, loop and scoring. Only so
is a comparison between them one of methods.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lowkey import runtime
from lowkey.data.label_sets import label_set_map
from lowkey.data.labels import LabelMap, TaskChoice, label_numbers
from lowkey.data.pair_tokenizer import refuse_other_size
from lowkey.data.tags import tag_map
from lowkey.data.tokenizer import TextTokenizer
from lowkey.errors import ConfigError
from lowkey.experiments.aftercare import FLATTERED, care_for
from lowkey.experiments.answers import answers_of, measures_of, write_answers
from lowkey.experiments.config import FinetuneRecipe
from lowkey.experiments.encoder_config import refuse_calibration, refuse_unbalanced
from lowkey.experiments.learners import Learner, TagLearner, learner_of
from lowkey.experiments.mask_learner import MaskLearner
from lowkey.experiments.method import make_trainable, parameter_counts, parts_to_begin
from lowkey.experiments.rates import finetuning_rates
from lowkey.experiments.samples import label_samples
from lowkey.experiments.session import Session, environment, open_session
from lowkey.experiments.span_learner import SpanLearner
from lowkey.experiments.splits import Splits, read_splits
from lowkey.experiments.task import KINDS, LONG_TEXTS, choose_task, columns_for
from lowkey.experiments.verification import save_with_probe, verified
from lowkey.hf.hub import resolve_model
from lowkey.hf.model_folder import base_identity
from lowkey.models.encoder import Encoder
from lowkey.pipelines.answerer import Answerer
from lowkey.pipelines.bundle import Facts, as_metrics, folder_bytes
from lowkey.pipelines.classifier import TextClassifier
from lowkey.pipelines.mask_filler import MaskFiller
from lowkey.pipelines.tagger import Tagger
from lowkey.run_folder import RunFolder
from lowkey.training.course import Course
from lowkey.training.progress import Progress, progress_for
from lowkey.training.rates import RateOf, rate_lines
from lowkey.training.trainer import FitResult, Trainer

_PIPELINES: dict[str, Any] = {"tag": Tagger, "answer": Answerer, "mlm": MaskFiller}


def finetune(
    recipe: FinetuneRecipe, out: Path, *, resume: bool = False, progress: Progress | None = None
) -> Facts:
    """Runs one fine-tuning from recipe to report.

    Args:
        recipe: What to do.
        out: The run folder.
        resume: Whether to go on with the run that is there.
        progress: Where people look; standard error if None.

    Returns:
        What came of it, as it stands in ``best/lowkey.json``.

    Raises:
        LowkeyError: If the recipe, the data or the model is not usable, if the run was stopped
            (it can be resumed), or if a result cannot be written.
    """
    RunFolder.find(out, resume=resume)
    progress = progress or progress_for()
    runtime.set_threads(recipe.train.threads)
    splits = read_splits(recipe.data, columns_for(recipe.task), recipe.train.seed, progress.note)
    choice = choose_task(recipe.task, splits.given)
    refuse_unbalanced(choice.task, recipe.train)
    refuse_calibration(choice.task, recipe.calibrate)
    progress.note(f"task: {choice.task} ({choice.reason})")
    learner, rate_of = _prepare(recipe, splits, choice, progress.note)
    Course(recipe.train, learner)  # an impossible schedule is refused before anything is written
    inputs = {**splits.hashes, "model.path": learner.classifier.facts.base_sha256 or ""}
    with open_session(recipe, out, progress, inputs, resume=resume) as session:
        trainer = Trainer(
            learner,
            recipe.train,
            session.run,
            tracker=session.tracker,
            progress=session.progress,
            save_best=lambda folder, _: save_with_probe(learner.classifier, splits, folder),
            rate_of=rate_of,
        )
        for line in rate_lines(trainer.trained.parameters, rate_of, recipe.train.learning_rate):
            progress.note(line)
        fit = trainer.fit(resume=resume)
        facts = _conclude(recipe, splits, learner, fit, session)
        session.finish(facts)
        return facts


def _prepare(
    recipe: FinetuneRecipe, splits: Splits, choice: TaskChoice, say: Callable[[str], None]
) -> tuple[Learner | TagLearner | SpanLearner | MaskLearner, RateOf]:
    """Loads the base, tokenizes, and makes the model trainable in the way of the method."""
    base = resolve_model(recipe.model.path, key="model.path")
    labels = _labels(recipe, splits, choice)
    kind = _PIPELINES.get(choice.task, TextClassifier)
    device = runtime.resolve_device(recipe.train.device)
    dtype = runtime.resolve_precision(recipe.train.precision, device)
    generator = runtime.generator(recipe.train.seed, "weights")
    options = {} if kind is not TextClassifier else {"pooling": recipe.model.pooling}
    num_labels = len(labels) if labels else 1
    model = kind.load_model(base, num_labels, generator=generator, **options)
    if choice.task == "regress":
        # From the mean on, the head has only differences to learn, whatever the scale.
        nn.init.constant_(model.classifier.bias, float(label_numbers(splits.train).mean()))
    max_length = _max_length(recipe.data.max_length, model.encoder, recipe.model.path)
    lora_config = make_trainable(model, recipe, base, generator, say)
    rate_of = finetuning_rates(model, model.encoder, parts_to_begin(model, base), recipe)
    _keep_frozen_in(dtype, model.encoder)
    local = Path(recipe.model.path).expanduser()
    facts = Facts(
        kind=KINDS[choice.task],
        task=choice.task,
        method=recipe.method,
        pairs=choice.task != "mlm" and "text_pair" in splits.train.columns,
        labels=list(labels.names) if labels else [],
        max_length=max_length,
        long_texts=recipe.data.long_texts or LONG_TEXTS.get(choice.task, "truncate"),
        stride=recipe.data.stride,
        max_answer_length=recipe.data.max_answer_length,
        pooling=recipe.model.pooling,
        base_model=str(local.resolve()) if local.exists() else recipe.model.path,
        base_sha256=base_identity(base)["sha256"],
        environment=environment(device, dtype),
    )
    tokenizer = TextTokenizer.load(base)
    refuse_other_size(tokenizer, model.encoder.config.vocab_size, str(base), spare=True)
    model.compute_in(dtype)
    pipeline = kind(model, tokenizer, facts, device, lora_config)
    return learner_of(pipeline, splits, recipe, say), rate_of


def _keep_frozen_in(dtype: torch.dtype, encoder: Encoder) -> None:
    """Keeps frozen weights in the precision they are used in, by which they lose nothing.

    Heads compute in fp32, and so does an output that is tied to a table of embeddings.
    """
    for module in encoder.modules():
        for parameter in module.parameters(recurse=False):
            if not parameter.requires_grad and not getattr(module, "tied", False):
                parameter.data = parameter.data.to(dtype)


def _labels(recipe: FinetuneRecipe, splits: Splits, choice: TaskChoice) -> LabelMap | None:
    """Decides the classes, or the tags, from all training rows; other tasks have none."""
    if choice.task in ("regress", "answer", "mlm"):
        return None
    found = {"tag": tag_map, "multilabel": label_set_map}.get(choice.task, LabelMap.from_rows)
    return found(splits.given, recipe.data.labels)


def _max_length(wanted: int | None, encoder: Encoder, path: str) -> int:
    positions = encoder.config.max_positions
    if wanted is not None and wanted > positions:
        raise ConfigError(
            f"data.max_length is {wanted}, but {path} has {positions} positions",
            fix=f"set data.max_length to {positions} or less",
        )
    return wanted or positions


def _conclude(
    recipe: FinetuneRecipe,
    splits: Splits,
    learner: Learner | TagLearner | SpanLearner | MaskLearner,
    fit: FitResult,
    session: Session,
) -> Facts:
    """Opens the best bundle from disk as a user would, scores it and completes its facts."""
    best = session.run.best
    kind, device = type(learner.classifier), learner.classifier.device
    reloaded = kind.load(best, base=recipe.model.path, device=device)
    name, rows = splits.scored
    notes: list[str] = []
    if isinstance(learner, Learner) and isinstance(reloaded, TextClassifier):
        notes = care_for(
            learner, reloaded, recipe, steps=fit.step, scored=name, say=session.progress.note
        )
    if (
        isinstance(reloaded, Answerer)
        and name == "validation"
        and reloaded.facts.null_threshold is not None
    ):
        notes.append(FLATTERED.format("threshold for no answer was"))
    for note in notes:
        session.progress.warn(note)
    answers = answers_of(name, reloaded, rows)
    measures = measures_of([answers], rows, reloaded.facts.kind, [reloaded.facts.task])
    scores = {metric: measure.score() for metric, measure in measures.items()}
    session.tracker.log(fit.step, {f"{name}/{k}": score.value for k, score in scores.items()})
    counts = {
        **parameter_counts(learner.model, learner.classifier.model.head),
        "steps": fit.step,
        "epochs": fit.epoch,
        "training_seconds": fit.seconds,
        "peak_memory_mib": fit.peak_memory_mib,
        "train_rows": len(splits.train),
        f"{name}_rows": len(rows),
    }
    # Those of the best step: a threshold is chosen anew at every evaluation, and calibration adds.
    facts = reloaded.facts.model_copy(
        update={
            "metrics": as_metrics(scores),
            "counts": {**counts, "disk_bytes": folder_bytes(best)},
            "samples": label_samples(reloaded, rows),
            "notes": notes,
        }
    )
    facts.write(best)
    write_answers(answers, session.run.answers_file)
    session.say(verified(best, base=recipe.model.path, precision=facts.precision))
    return facts
