"""Trains a Transformer, a new one or one that is trained already, on pairs of texts.

pairs -> tokenizers and model -> train -> reload the best -> decode the test set -> report
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from torch import nn

from lowkey import runtime
from lowkey.data.prefetch import Prefetch
from lowkey.data.rows import Rows
from lowkey.errors import ConfigError
from lowkey.experiments.config import TranslationRecipe
from lowkey.experiments.new_model import new_model
from lowkey.experiments.pair_data import PairData, prepare_pairs
from lowkey.experiments.pair_tokenizers import tokenizer_hashes
from lowkey.experiments.samples import text_samples
from lowkey.experiments.session import Session, environment, open_session
from lowkey.experiments.splits import Splits, plan_epoch, read_splits, spread
from lowkey.experiments.start_from import start_from
from lowkey.experiments.verification import save_with_probe, verified
from lowkey.files import Scratch
from lowkey.pipelines.bundle import Decoding, Facts, as_metrics, folder_bytes
from lowkey.pipelines.translator import Translator
from lowkey.run_folder import RunFolder
from lowkey.training.course import Course
from lowkey.training.loss import label_smoothed_cross_entropy
from lowkey.training.objective import StepLoss
from lowkey.training.progress import Progress, progress_for
from lowkey.training.rates import rates_by_ending
from lowkey.training.trainer import FitResult, Trainer

_COLUMNS = ("source", "target")


def train(
    recipe: TranslationRecipe, out: Path, *, resume: bool = False, progress: Progress | None = None
) -> Facts:
    """Runs one training from recipe to report.

    Args:
        recipe: What to do.
        out: The run folder.
        resume: Whether to go on with the run that is there.
        progress: Where people look; standard error if None.

    Returns:
        What came of it, as it stands in ``best/lowkey.json``.

    Raises:
        LowkeyError: If the recipe or the data is not usable, if the run was stopped (it can be
            resumed), or if a result cannot be written.
    """
    RunFolder.find(out, resume=resume)
    progress = progress or progress_for()
    runtime.set_threads(recipe.train.threads)
    scratch = Scratch(out, "the training pairs", "set data.memory_map: false")
    splits = read_splits(recipe.data, _COLUMNS, recipe.train.seed, progress.note, scratch)
    learner = _prepare(recipe, splits, progress.note)
    Course(recipe.train, learner)  # an impossible schedule is refused before anything is written
    both = learner.translator.source_tokenizer, learner.translator.target_tokenizer
    inputs = splits.hashes | tokenizer_hashes(recipe.tokenizer, *both)
    if recipe.start_from is not None:
        inputs["start_from"] = learner.translator.facts.base_sha256 or ""
    with open_session(learner.recipe, out, progress, inputs, resume=resume) as session:
        trainer = Trainer(
            learner,
            recipe.train,
            session.run,
            tracker=session.tracker,
            progress=session.progress,
            save_best=lambda folder, _: save_with_probe(learner.translator, splits, folder),
            rate_of=rates_by_ending(recipe.lora.rates),
        )
        fit = trainer.fit(resume=resume)
        facts = _conclude(splits, learner, fit, session)
        session.finish(facts)
        return facts


@dataclass
class Learner:
    """The objective of a translation: see ``lowkey.training.objective.Objective``.

    Attributes:
        translator: The model with its tokenizers and facts.
        pairs: Training pairs, and those that choose the best step, by their likelihood.
        decoded: Validation rows that are decoded at each evaluation.
        recipe: The recipe; its ``decode`` is complete, with what a checkpoint says.
    """

    translator: Translator
    pairs: PairData
    decoded: Rows
    recipe: TranslationRecipe

    def __post_init__(self) -> None:
        """Says what is trained, and by which metric two evaluations are compared."""
        self.model: nn.Module = self.translator.model
        # Likelihood over all rows: smoother than a score of the few that are decoded.
        self.metric_for_best = "nll"
        self.greater_is_better = False
        self.ahead = Prefetch(self.pairs.train.chosen)

    def epoch(self, epoch: int) -> Sequence[Sequence[int]]:
        """Plans the batches of an epoch.

        Args:
            epoch: Number of the epoch, from 0.

        Returns:
            The pairs of each batch.
        """
        train = self.pairs.train
        planned = plan_epoch(train.lengths(epoch), self.recipe.train, epoch)
        plan = planned.numbered(partial(train.numbers, epoch))
        self.ahead.follow(plan)
        return plan

    def loss(self, ids: Sequence[int]) -> StepLoss:
        """Computes the label-smoothed cross-entropy of the target tokens.

        Args:
            ids: The pairs.

        Returns:
            The sums over the batch; ``nll`` is free of smoothing.
        """
        batch = self.ahead.get(ids).as_batch(self.translator.device)
        logits = self.model(
            batch.source_ids, batch.source_layout, batch.target_input_ids, batch.target_layout
        )
        smoothing = self.recipe.train.label_smoothing_factor
        loss, nll = label_smoothed_cross_entropy(logits, batch.target_labels, smoothing)
        targets = batch.target_layout.num_tokens
        tokens = targets + batch.source_layout.num_tokens
        return StepLoss(loss, targets, tokens, {"nll": float(nll)})

    def evaluate(self) -> dict[str, float]:
        """Scores the validation pairs, and decodes some of them.

        Returns:
            nll and perplexity of all, and the scores of the decoded ones.
        """
        nll = self.translator.nll(self.pairs.validation)
        scores, _ = self.translator.score(self.decoded, thorough=False)
        values = {name: score.value for name, score in scores.items()}
        return {"nll": nll, "perplexity": float(np.exp(min(nll, 700.0))), **values}


def _prepare(recipe: TranslationRecipe, splits: Splits, say: Callable[[str], None]) -> Learner:
    """Makes or opens tokenizers and model, and tokenizes the pairs."""
    device = runtime.resolve_device(recipe.train.device)
    dtype = runtime.resolve_precision(recipe.train.precision, device)
    if recipe.start_from is None:
        parts = new_model(recipe, splits.train, say)
    else:
        parts = start_from(recipe, dtype, say)
    model, config = parts.model.compute_in(dtype), parts.model.config
    source, target = parts.source_tokenizer, parts.target_tokenizer
    max_length, limit = parts.facts.max_length, "data.max_length"
    decode = parts.facts.decode or Decoding()
    # A run is resumed by the recipe on disk: all of decode stands there as it holds.
    recipe = recipe.model_copy(update={"decode": decode.as_recipe()})
    if config.positions == "learned":
        _refuse_unnumbered(recipe, decode.max_length, config.max_positions)
        if max_length is None:
            max_length, limit = config.max_positions, "model.max_positions"
    pairs = prepare_pairs(recipe, splits, (source, target), max_length, limit)
    first = pairs.first
    ratios = first.target_labels.lengths / first.sources.lengths
    changes = {"max_length": max_length, "decode": decode.bounded(float(ratios.max()))}
    facts = parts.facts.model_copy(update={**changes, "environment": environment(device, dtype)})
    translator = Translator(model, source, target, facts, device, parts.adaptation)
    if first.num_truncated:
        say(f"note: {first.truncated_share:.1%} of the training pairs are cut")
    counted = "training pairs" if splits.stream is None else "pairs in the first window"
    say(
        f"{len(splits.train):,} {counted}; vocabularies of {source.vocab_size:,} and"
        f" {target.vocab_size:,}; {sum(p.numel() for p in model.parameters()):,} parameters"
        f"{recipe.model.remark() if recipe.start_from is None else ''}"
    )
    decoded = spread(splits.validation, recipe.decoded_rows)
    return Learner(translator, pairs, decoded, recipe)


def _refuse_unnumbered(recipe: TranslationRecipe, longest_output: int, positions: int) -> None:
    """Refuses lengths beyond what learned positions can number."""
    # The positions of a model that is there already are as many as they are.
    other_way = " or raise model.max_positions" if recipe.start_from is None else ""
    for key, length in (
        ("data.max_length", recipe.data.max_length or 0),
        ("decode.max_length", longest_output),
    ):
        if length > positions:
            raise ConfigError(
                f"{key} is {length}, but the model has {positions} positions",
                fix=f"set {key} to {positions}{other_way}",
            )


def _conclude(splits: Splits, learner: Learner, fit: FitResult, session: Session) -> Facts:
    """Opens the best bundle from disk as a user would, decodes, scores and completes its facts."""
    best = session.run.best
    reloaded = Translator.load(best, device=learner.translator.device)
    name, rows = splits.scored
    session.say(f"decoding {len(rows):,} {name} rows")
    scores, outputs = reloaded.score(rows)
    session.tracker.log(fit.step, {f"{name}/{k}": score.value for k, score in scores.items()})
    facts = learner.translator.facts.model_copy(
        update={
            "metrics": as_metrics(scores),
            "counts": {
                "parameters": sum(p.numel() for p in learner.model.parameters()),
                "trainable_parameters": sum(
                    p.numel() for p in learner.model.parameters() if p.requires_grad
                ),
                "steps": fit.step,
                "epochs": fit.epoch,
                "training_seconds": fit.seconds,
                "train_tokens": fit.train_tokens,
                "peak_memory_mib": fit.peak_memory_mib,
                **({} if splits.stream else {"train_rows": len(splits.train)}),
                f"{name}_rows": len(rows),
                "disk_bytes": folder_bytes(best),
            },
            "samples": text_samples(rows, outputs),
        }
    )
    facts.write(best)
    session.say(verified(best, base=None, precision=facts.precision))
    return facts
