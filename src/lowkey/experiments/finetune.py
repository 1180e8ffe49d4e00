"""Fine-tunes a pretrained encoder on labelled texts: by LoRA, fully, or its head alone.

    rows -> task -> base model -> method -> train -> reload the best -> score -> report

The three methods share everything but one ``if``: data, order, batches, loop and scoring. Only so
is a comparison between them one of methods.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch.nn.functional as F
from torch import nn

from lowkey import runtime
from lowkey.data.labelled import LabelledExamples
from lowkey.data.labels import LabelMap, TaskChoice, label_numbers
from lowkey.data.pair_tokenizer import refuse_other_size
from lowkey.data.tokenizer import TextTokenizer
from lowkey.errors import ConfigError
from lowkey.experiments.config import FinetuneRecipe
from lowkey.experiments.method import make_trainable
from lowkey.experiments.samples import label_samples
from lowkey.experiments.session import Session, environment, open_session
from lowkey.experiments.splits import Splits, plan_epoch, read_splits
from lowkey.experiments.task import choose_task
from lowkey.hf.bert import load_classifier
from lowkey.hf.hub import resolve_model
from lowkey.hf.model_folder import base_identity
from lowkey.models.heads import SequenceClassifier
from lowkey.pipelines.bundle import Facts, as_metrics, folder_bytes
from lowkey.pipelines.classifier import TextClassifier
from lowkey.run_folder import RunFolder
from lowkey.training.course import Course
from lowkey.training.objective import StepLoss
from lowkey.training.progress import progress_for
from lowkey.training.trainer import FitResult, Trainer

_COLUMNS = ("text", "label")


def finetune(recipe: FinetuneRecipe, out: Path, *, resume: bool = False) -> Facts:
    """Runs one fine-tuning from recipe to report.

    Args:
        recipe: What to do.
        out: The run folder.
        resume: Whether to go on with the run that is there.

    Returns:
        What came of it, as it stands in ``best/lowkey.json``.

    Raises:
        LowkeyError: If the recipe, the data or the model is not usable, if the run was stopped
            (it can be resumed), or if a result cannot be written.
    """
    RunFolder.find(out, resume=resume)
    progress = progress_for()
    runtime.set_threads(recipe.train.threads)
    splits = read_splits(recipe.data, _COLUMNS, recipe.train.seed, progress.note)
    choice = choose_task(recipe.task, splits.given)
    progress.note(f"task: {choice.task} ({choice.reason})")
    learner = _prepare(recipe, splits, choice, progress.note)
    Course(recipe.train, learner)  # an impossible schedule is refused before anything is written
    inputs = {**splits.hashes, "model.path": learner.classifier.facts.base_sha256 or ""}
    with open_session(recipe, out, progress, inputs, resume=resume) as session:
        trainer = Trainer(
            learner,
            recipe.train,
            session.run,
            tracker=session.tracker,
            progress=session.progress,
            save_best=lambda folder, _: learner.classifier.save(folder),
            rates=recipe.lora.rates,
        )
        fit = trainer.fit(resume=resume)
        facts = _conclude(recipe, splits, learner, fit, session)
        session.finish(facts)
        return facts


@dataclass
class Learner:
    """The objective of a fine-tuning: see ``lowkey.training.objective.Objective``.

    Attributes:
        classifier: The model with its tokenizer, labels and facts.
        train: Training examples.
        validation: Examples that choose the best step.
        recipe: How to batch.
    """

    classifier: TextClassifier
    train: LabelledExamples
    validation: LabelledExamples
    recipe: FinetuneRecipe

    def __post_init__(self) -> None:
        """Says what is trained, and by which metric two evaluations are compared."""
        self.model: nn.Module = self.classifier.model
        regression = self.classifier.labels is None
        self.metric_for_best = "mse" if regression else "f1_macro"
        self.greater_is_better = not regression

    def epoch(self, epoch: int) -> Sequence[Sequence[int]]:
        """Plans the batches of an epoch, the same for every method.

        Args:
            epoch: Number of the epoch, from 0.

        Returns:
            The examples of each batch.
        """
        return plan_epoch(self.train.lengths, self.recipe.train, epoch)

    def loss(self, ids: Sequence[int]) -> StepLoss:
        """Computes cross-entropy over the labels, or the squared error of a regression.

        Args:
            ids: The examples.

        Returns:
            The sums over the batch.
        """
        batch = self.train.batch(ids, self.classifier.device)
        logits = self.model(batch.input_ids, batch.layout, batch.segment_ids)
        labels = batch.labels
        assert labels is not None, "training examples have labels"
        sums: dict[str, float] = {}
        if self.classifier.labels is None:
            loss = F.mse_loss(logits[:, 0], labels, reduction="sum")
        else:
            smoothing = self.recipe.train.label_smoothing_factor
            loss = F.cross_entropy(logits, labels, reduction="sum", label_smoothing=smoothing)
            sums["accuracy"] = float((logits.argmax(1) == labels).sum())
        return StepLoss(loss, len(ids), batch.layout.num_tokens, sums)

    def evaluate(self) -> dict[str, float]:
        """Scores the validation examples.

        Returns:
            The metrics of the task.
        """
        scores = self.classifier.score(self.validation)
        return {name: score.value for name, score in scores.items()}


def _prepare(
    recipe: FinetuneRecipe, splits: Splits, choice: TaskChoice, say: Callable[[str], None]
) -> Learner:
    """Loads the base, tokenizes, and makes the model trainable in the way of the method."""
    base = resolve_model(recipe.model.path, key="model.path")
    labels = None
    if choice.task != "regress":
        labels = LabelMap.from_rows(splits.given, recipe.data.labels)
    device = runtime.resolve_device(recipe.train.device)
    dtype = runtime.resolve_precision(recipe.train.precision, device)
    generator = runtime.generator(recipe.train.seed, "weights")
    model = load_classifier(base, len(labels) if labels else 1, generator=generator)
    if labels is None:
        # From the mean on, the head has only differences to learn, whatever the scale.
        nn.init.constant_(model.classifier.bias, float(label_numbers(splits.train).mean()))
    max_length = _max_length(recipe.data.max_length, model, recipe.model.path)
    lora_config = make_trainable(model, recipe, base, generator, say)
    for parameter in model.parameters():
        if not parameter.requires_grad:
            # Frozen weights lose nothing by being kept in the precision they are used in.
            parameter.data = parameter.data.to(dtype)
    local = Path(recipe.model.path).expanduser()
    facts = Facts(
        kind="classification" if labels else "regression",
        task=choice.task,
        method=recipe.method,
        pairs="text_pair" in splits.train.columns,
        labels=list(labels.names) if labels else [],
        max_length=max_length,
        base_model=str(local.resolve()) if local.exists() else recipe.model.path,
        base_sha256=base_identity(base)["sha256"],
        environment=environment(device, dtype),
    )
    tokenizer = TextTokenizer.load(base)
    refuse_other_size(tokenizer, model.encoder.config.vocab_size, str(base), spare=True)
    classifier = TextClassifier(model.compute_in(dtype), tokenizer, facts, device, lora_config)
    examples = [classifier.examples(rows) for rows in (splits.train, splits.validation)]
    if splits.test:
        # What is wrong with these must not come out when the training is over.
        classifier.examples(splits.test)
    for name, part in zip(("train", "validation"), examples, strict=True):
        if part.num_truncated:
            say(
                f"note: {part.truncated_share:.1%} of the {name} texts are longer than"
                f" {max_length} tokens and are cut"
            )
    return Learner(classifier, examples[0], examples[1], recipe)


def _max_length(wanted: int | None, model: SequenceClassifier, path: str) -> int:
    positions = model.encoder.config.max_positions
    if wanted is not None and wanted > positions:
        raise ConfigError(
            f"data.max_length is {wanted}, but {path} has {positions} positions",
            fix=f"set data.max_length to {positions} or less",
        )
    return wanted or positions


def _conclude(
    recipe: FinetuneRecipe, splits: Splits, learner: Learner, fit: FitResult, session: Session
) -> Facts:
    """Opens the best bundle from disk as a user would, scores it and completes its facts."""
    best = session.run.best
    reloaded = TextClassifier.load(best, base=recipe.model.path, device=learner.classifier.device)
    name, rows = splits.scored
    examples = reloaded.examples(rows)
    scores = reloaded.score(examples)
    session.tracker.log(fit.step, {f"{name}/{k}": score.value for k, score in scores.items()})
    trainable = sum(p.numel() for p in learner.model.parameters() if p.requires_grad)
    head = sum(p.numel() for module in reloaded.model.head for p in module.parameters())
    counts = {
        "parameters": sum(p.numel() for p in learner.model.parameters()),
        "trainable_parameters": trainable,
        "trainable_parameters_without_head": trainable - head,
        "steps": fit.step,
        "epochs": fit.epoch,
        "training_seconds": fit.seconds,
        "peak_memory_mib": fit.peak_memory_mib,
        "train_rows": len(splits.train),
        f"{name}_rows": len(rows),
    }
    facts = learner.classifier.facts.model_copy(
        update={
            "metrics": as_metrics(scores),
            "counts": {**counts, "disk_bytes": folder_bytes(best)},
            "samples": label_samples(reloaded, rows),
        }
    )
    facts.write(best)
    return facts
