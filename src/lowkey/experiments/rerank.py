"""Gives the updates of a LoRA run a smaller rank: the best ones there are, without training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lowkey.errors import ConfigError
from lowkey.experiments.rescore import Before, recount, refit, score_after, score_before
from lowkey.experiments.spectrum import kept_by
from lowkey.files import refuse_full_folder, staged_folder
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import Adapted, adapters
from lowkey.lora.spectrum import Decomposition, decompose_update, set_update
from lowkey.pipelines.bundle import Facts, folder_bytes
from lowkey.pipelines.load import AnyPipeline, load
from lowkey.pipelines.published import read_facts
from lowkey.pipelines.translator import Translator
from lowkey.pipelines.translator_files import Adaptation
from lowkey.run_folder import resolve_bundle


def rerank(
    run: Path,
    *,
    rank: int | None = None,
    keep: float | None = None,
    out: Path | None = None,
    base: str | None = None,
    device: str = "auto",
    score: bool = True,
) -> dict[str, Any]:
    """Writes a run's model once more, with updates of a smaller rank.

    Args:
        run: The run folder, or a bundle.
        rank: The new rank of every update; or
        keep: the share of its squared norm that every update must keep, above 0 and up to 1: the
            smallest rank that does it in all modules is taken.
        out: The bundle to write, which must not exist or be empty; None for one beside the old
            one, named after the rank.
        base: Where the base model is, if not where it was in training.
        device: Where to compute the scores.
        score: Whether to score both on the run's validation and test rows.

    Returns:
        ``out``; ``old_rank`` and ``rank``; ``kept`` and ``least``, the shares of the squared norm
        that all updates together and the one that loses most keep; ``scores`` by split and metric,
        before and after; ``not_scored``, why there are none, or None.

    Raises:
        ConfigError: If the model has no adapter, if not one of rank and keep is given, if there is
            no such rank or share, or if the folder holds something.
        LowkeyError: If the model is not usable, or the bundle cannot be written.
    """
    refuse_full_folder(out, where="--out")
    _refuse_both_or_neither(rank, keep)
    folder = resolve_bundle(run)
    _refuse_unadapted(run, read_facts(folder))
    pipeline = load(run, base=base, device=device)
    config = _config_of(pipeline)
    _refuse_dora(run, config)
    modules = adapters(pipeline.model)
    found = {name: decompose_update(module) for name, module in modules.items()}
    old = max(module.rank for module in modules.values())
    rank = _choose(found, old, rank, keep)
    out = out or _beside(folder, rank)
    refuse_full_folder(out, where="--out")
    before = score_before(run, pipeline) if score else Before()
    changed = _of_rank(config, rank, modules)
    for name, module in modules.items():
        own = changed.of_module(name)
        set_update(module, found[name], rank=own.r, scaling=own.scaling)
    _set_config(pipeline, changed)
    with staged_folder(out) as stage:
        scores = write_scored(pipeline, stage, before, base=base, device=device)
    return {
        "out": str(out),
        "old_rank": old,
        "rank": rank,
        **kept_by({name: one.spectrum for name, one in found.items()}, rank),
        "scores": scores,
        "not_scored": before.reason,
    }


def write_scored(
    pipeline: AnyPipeline,
    folder: Path,
    before: Before,
    *,
    base: str | None,
    device: str,
) -> dict[str, Any]:
    """Writes a bundle, opens it as a user would, and completes its facts by its scores.

    Args:
        pipeline: The changed model.
        folder: An existing folder.
        before: What the model scored before the change.
        base: Where the base model is, if not where the facts say.
        device: Where to compute.

    Returns:
        By split and metric, the score before and after.

    Raises:
        CannotWriteError: If a file cannot be written.
        DataError: If the bundle does not open again.
    """
    pipeline.facts = recount(pipeline.facts, pipeline)
    refit(pipeline, before)
    pipeline.save(folder)
    scores, told = score_after(before, load(folder, base=base, device=device))
    counts = {**pipeline.facts.counts, "disk_bytes": folder_bytes(folder)}
    pipeline.facts.model_copy(update={**told, "counts": counts}).write(folder)
    return scores


def _refuse_both_or_neither(rank: int | None, keep: float | None) -> None:
    if (rank is None) == (keep is None):
        what = "give --rank or --keep" + (", not both" if rank is not None else "")
        raise ConfigError(what, fix="lowkey spectrum RUN shows what each rank keeps")
    if keep is not None and not 0 < keep <= 1:
        what = f"{keep} is no share of an update"
        raise ConfigError(what, where="--keep", fix="give a number above 0 and up to 1, as 0.95")
    if rank is not None and rank < 1:
        raise ConfigError(f"{rank} is no rank", where="--rank", fix="give 1 or more")


def _refuse_unadapted(run: Path, facts: Facts) -> None:
    if facts.method == "lora":
        return
    fix = None
    if facts.method == "full" and facts.base_model is not None:
        fix = f"lowkey extract {facts.base_model} {run} --rank 8 --out DIR makes an adapter of it"
    raise ConfigError(f"{run} is of the method {facts.method} and has no adapter", fix=fix)


def _refuse_dora(run: Path, config: LoRAConfig) -> None:
    if config.use_dora:
        raise ConfigError(
            f"{run} was trained with use_dora: besides its updates it holds lengths of rows, which"
            " have no rank",
            fix=f"lowkey export {run} --format merged --out DIR makes a whole model, and lowkey"
            " extract an adapter of that",
        )


def _config_of(pipeline: AnyPipeline) -> LoRAConfig:
    if isinstance(pipeline, Translator):
        config = None if pipeline.adaptation is None else pipeline.adaptation.config
    else:
        config = pipeline.lora_config
    assert config is not None, "an adapted model knows how it was adapted"
    return config


def _set_config(pipeline: AnyPipeline, config: LoRAConfig) -> None:
    if not isinstance(pipeline, Translator):
        pipeline.lora_config = config
    elif pipeline.adaptation is not None:
        pipeline.adaptation = Adaptation(config, pipeline.adaptation.family)


def _choose(
    found: Mapping[str, Decomposition], old: int, rank: int | None, keep: float | None
) -> int:
    """Takes the rank that was asked for, or the smallest that keeps a share of every update."""
    if keep is not None:
        return max(one.spectrum.rank_for(keep) for one in found.values())
    assert rank is not None, "one of both is given"
    if rank > old:
        raise ConfigError(
            f"the updates have rank {old}, and {rank} is more than there is",
            where="--rank",
            fix=f"give {old} or less",
        )
    return rank


def _of_rank(config: LoRAConfig, rank: int, modules: Mapping[str, Adapted]) -> LoRAConfig:
    """The options of the same updates in another rank, as if it had been asked for.

    Alpha is chosen so that the factor in front of B A stays, for who trains on. An update that has
    a smaller rank already keeps it.
    """
    ranks = {name: min(rank, module.rank) for name, module in modules.items()}
    alphas = {
        name: modules[name].scaling * (own**0.5 if config.use_rslora else own)
        for name, own in ranks.items()
    }
    usual = config.scaling * (rank**0.5 if config.use_rslora else rank)
    return config.model_copy(
        update={
            "r": rank,
            "lora_alpha": usual,
            "target_modules": list(modules),
            "layers_to_transform": None,
            "rank_pattern": {name: own for name, own in ranks.items() if own != rank},
            "alpha_pattern": {name: own for name, own in alphas.items() if own != usual},
        }
    )


def _beside(folder: Path, rank: int) -> Path:
    """Names the new bundle after the old one."""
    known = folder if folder.name.strip(".") else folder.resolve()
    return known.with_name(f"{known.name}-rank-{rank}")
