"""Trains a Transformer from scratch on pairs of texts.

pairs -> tokenizers -> model -> train -> reload the best -> decode the test set -> report
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lowkey import runtime
from lowkey.data.prefetch import Prefetch
from lowkey.data.rows import Rows
from lowkey.errors import ConfigError
from lowkey.experiments.config import TranslationRecipe
from lowkey.experiments.pair_data import PairData, prepare_pairs
from lowkey.experiments.pair_tokenizers import pair_tokenizers, tokenizer_hashes
from lowkey.experiments.samples import text_samples
from lowkey.experiments.session import Session, environment, open_session
from lowkey.experiments.splits import Splits, plan_epoch, read_splits, spread
from lowkey.models.config import TransformerConfig
from lowkey.models.transformer import Transformer
from lowkey.pipelines.bundle import Decoding, Facts, as_metrics, folder_bytes
from lowkey.pipelines.translator import Translator
from lowkey.run_folder import RunFolder
from lowkey.training.course import Course
from lowkey.training.loss import label_smoothed_cross_entropy
from lowkey.training.objective import StepLoss
from lowkey.training.progress import progress_for
from lowkey.training.trainer import FitResult, Trainer

_COLUMNS = ("source", "target")


def train(recipe: TranslationRecipe, out: Path, *, resume: bool = False) -> Facts:
    """Runs one training from recipe to report.

    Args:
        recipe: What to do.
        out: The run folder.
        resume: Whether to go on with the run that is there.

    Returns:
        What came of it, as it stands in ``best/lowkey.json``.

    Raises:
        LowkeyError: If the recipe or the data is not usable, if the run was stopped (it can be
            resumed), or if a result cannot be written.
    """
    RunFolder.find(out, resume=resume)
    progress = progress_for()
    runtime.set_threads(recipe.train.threads)
    splits = read_splits(recipe.data, _COLUMNS, recipe.train.seed, progress.note)
    learner = _prepare(recipe, splits, progress.note)
    Course(recipe.train, learner)  # an impossible schedule is refused before anything is written
    both = learner.translator.source_tokenizer, learner.translator.target_tokenizer
    inputs = splits.hashes | tokenizer_hashes(recipe.tokenizer, *both)
    with open_session(recipe, out, progress, inputs, resume=resume) as session:
        trainer = Trainer(
            learner,
            recipe.train,
            session.run,
            tracker=session.tracker,
            progress=session.progress,
            save_best=lambda folder, _: learner.translator.save(folder),
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
        recipe: How to batch and smooth.
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
        plan = [train.numbers(epoch, ids) for ids in planned]
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
    """Trains the tokenizers, makes the model and tokenizes the pairs."""
    source, target = pair_tokenizers(recipe.tokenizer, splits.train, say)
    device = runtime.resolve_device(recipe.train.device)
    dtype = runtime.resolve_precision(recipe.train.precision, device)
    config = TransformerConfig(
        source_vocab_size=source.vocab_size,
        target_vocab_size=target.vocab_size,
        **recipe.model.config_values(joint=recipe.tokenizer.joint),
    )
    model = new_transformer(config, recipe.train.seed).compute_in(dtype)
    max_length, limit = recipe.data.max_length, "data.max_length"
    if config.positions == "learned":
        _refuse_unnumbered(recipe)
        if max_length is None:
            max_length, limit = config.max_positions, "model.max_positions"
    pairs = prepare_pairs(recipe, splits, (source, target), max_length, limit)
    first = pairs.first
    ratios = first.target_labels.lengths / first.sources.lengths
    wanted = recipe.decode
    if wanted.max_ratio is None:
        most = max(float(ratios.max()), wanted.min_ratio)
        wanted = wanted.model_copy(update={"max_ratio": most})
    facts = Facts(
        kind="translation",
        task=recipe.metrics,
        method="scratch",
        max_length=max_length,
        decode=Decoding(**wanted.model_dump()),
        environment=environment(device, dtype),
    )
    translator = Translator(model, source, target, facts, device)
    if first.num_truncated:
        say(f"note: {first.truncated_share:.1%} of the training pairs are cut")
    counted = "training pairs" if splits.stream is None else "pairs in the first window"
    say(
        f"{len(splits.train):,} {counted}; vocabularies of {source.vocab_size:,} and"
        f" {target.vocab_size:,}; {sum(p.numel() for p in model.parameters()):,} parameters"
        f"{recipe.model.remark()}"
    )
    decoded = spread(splits.validation, recipe.decoded_rows)
    return Learner(translator, pairs, decoded, recipe)


def _refuse_unnumbered(recipe: TranslationRecipe) -> None:
    """Refuses lengths beyond what learned positions can number."""
    positions = recipe.model.max_positions
    for key, length in (
        ("data.max_length", recipe.data.max_length or 0),
        ("decode.max_length", recipe.decode.max_length),
    ):
        if length > positions:
            raise ConfigError(
                f"{key} is {length}, but the model has {positions} positions",
                fix=f"set {key} to {positions} or raise model.max_positions",
            )


def new_transformer(config: TransformerConfig, seed: int) -> Transformer:
    """Makes a Transformer whose first weights are a function of the seed.

    Args:
        config: Its sizes.
        seed: Chooses the weights.

    Returns:
        The model; torch's global random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(runtime.seed_for(seed, "weights"))
        return Transformer(config)


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
    return facts
