"""Makes an adapter of a full fine-tune: the best low-rank updates of its weight differences."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lowkey.errors import ConfigError, DataError
from lowkey.experiments.rerank import write_scored
from lowkey.experiments.rescore import Before, score_before
from lowkey.experiments.spectrum import kept_by, refuse_without_base
from lowkey.experiments.tuned import TunedPair, open_pair
from lowkey.files import refuse_full_folder, staged_folder
from lowkey.hf.adapter import save_adapter
from lowkey.hf.hub import resolve_model
from lowkey.hf.marian_config import is_marian
from lowkey.hf.model_folder import base_identity
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import adapters, inject
from lowkey.lora.spectrum import Decomposition, decompose_difference, set_update
from lowkey.models.heads import SequenceClassifier, TokenClassifier
from lowkey.models.span_head import SpanClassifier
from lowkey.models.transformer import Transformer
from lowkey.pipelines.answerer import Answerer
from lowkey.pipelines.bundle import FACTS_FILE, Facts
from lowkey.pipelines.classifier import TextClassifier
from lowkey.pipelines.load import load
from lowkey.pipelines.mask_filler import MaskFiller
from lowkey.pipelines.published import read_facts
from lowkey.pipelines.tagger import Tagger
from lowkey.pipelines.translator import Translator
from lowkey.pipelines.translator_files import Adaptation
from lowkey.run_folder import resolve_bundle


def extract(
    base: str,
    tuned: Path,
    *,
    rank: int,
    out: Path,
    targets: str | list[str] = "all-linear",
    device: str = "auto",
    score: bool = True,
) -> dict[str, Any]:
    """Writes an adapter that brings a base as near to its full fine-tune as its rank allows.

    A run of lowkey becomes a bundle; a classifier's folder from elsewhere an adapter for peft.
    The head is carried whole, and the pooler if it was trained.

    Args:
        base: The model that the training began with: a folder or a Hub name.
        tuned: The run or the model folder that came of it.
        rank: Rank of the updates.
        out: The folder to write; must not exist, or be empty.
        targets: A preset, or names of linear maps, as in ``lora.target_modules``.
        device: Where to compute the scores.
        score: Whether to score both on the run's validation and test rows.

    Returns:
        ``out``, ``base`` and ``rank``; ``modules``: each adapted map with its ``name``, ``kept``
        and ``norm``; ``kept`` and ``least`` of all of them; ``carried_whole``: names of modules;
        ``not_carried``: each parameter that changed and is in neither, with its share of the
        squared norm of all changes but those of the modules carried whole; ``scores`` and
        ``not_scored`` as of a rerank.

    Raises:
        ConfigError: If the two are of different shapes or the same, if tuned is no full
            fine-tune, or one whose head no adapter holds, if there is no such rank or target, or
            if the folder holds something.
        DataError: If tuned was trained from another base.
        LowkeyError: If a model is not usable, or the folder cannot be written.
    """
    refuse_full_folder(out, where="--out")
    folder = resolve_bundle(tuned)
    facts = read_facts(folder) if (folder / FACTS_FILE).is_file() or is_marian(folder) else None
    base_folder = resolve_model(base, key="BASE")
    _refuse_no_fine_tune(tuned, facts, base, base_folder)
    pair = open_pair(base_folder, folder, facts)
    config = LoRAConfig(
        r=rank, lora_alpha=rank, target_modules=targets, modules_to_save=_carried_whole(pair)
    )
    found = _take_over(pair, config, base, tuned)
    before = Before(reason=f"{tuned} is no run of lowkey, so that its data is not known")
    scores: dict[str, Any] = {}
    with staged_folder(out) as stage:
        if facts is None:
            name, family = _name_of(base), pair.family
            save_adapter(pair.base, stage, lora_config=config, base_name=name, family=family)
        else:
            pipeline = load(tuned, device=device)
            assert not isinstance(pipeline, MaskFiller), "refused before"
            before = score_before(tuned, pipeline) if score else Before()
            new = _facts_of(facts, base, base_folder)
            adapted = _adapted(pipeline, pair, config, new)
            scores = write_scored(adapted, stage, before, base=base, device=device)
    spectra = {name: one.spectrum for name, one in found.items()}
    return {
        "out": str(out),
        "base": base,
        "rank": rank,
        "modules": [
            {"name": name, "kept": one.kept(rank), "norm": one.norm}
            for name, one in spectra.items()
        ],
        **kept_by(spectra, rank),
        "carried_whole": config.modules_to_save,
        "not_carried": _not_carried(pair, found),
        "scores": scores,
        "not_scored": before.reason if score else None,
    }


def _refuse_no_fine_tune(tuned: Path, facts: Facts | None, base: str, base_folder: Path) -> None:
    """Refuses what has an adapter, a head that none can hold, the same maps, or another base."""
    if facts is None or facts.method == "published":
        return
    if facts.kind == "fill-mask":
        raise ConfigError(
            f"{tuned} is a masked-language model, whose head an adapter cannot hold",
            fix=f"lowkey spectrum {tuned} shows what its weights differ by",
        )
    if facts.method == "lora":
        fix = f"lowkey rerank {tuned} --rank 8 makes a smaller one of it"
        raise ConfigError(f"{tuned} is an adapter already", fix=fix)
    if facts.pooling != "auto":
        raise ConfigError(
            f"{tuned} was trained with model.pooling: {facts.pooling}, whose head stands in no"
            " adapter",
            fix="train with method: lora",
        )
    refuse_without_base(tuned, facts)
    found = base_identity(base_folder)["sha256"]
    if facts.base_sha256 is not None and found != facts.base_sha256:
        raise DataError(
            f"{tuned} was trained from other weights ({facts.base_sha256[:8]}… of"
            f" {facts.base_model}) than {base} holds ({found[:8]}…)",
            fix="give the model that the training began with",
        )


@torch.no_grad()
def _carried_whole(pair: TunedPair) -> list[str]:
    """The head, and the pooler if the training moved it, by the last parts of their names."""
    before, after = pair.base.state_dict(), pair.tuned.state_dict()
    own = [] if isinstance(pair.tuned, Transformer) else ["transform", "classifier"]
    moved = {
        name
        for name in pair.heads
        if name in own
        or any(not torch.equal(after[k], before[k]) for k in after if k.startswith(f"{name}."))
    }
    return [name.rpartition(".")[2] for name in pair.heads if name in moved]


def _take_over(
    pair: TunedPair, config: LoRAConfig, base: str, tuned: Path
) -> dict[str, Decomposition]:
    """Adapts the base by the best updates of the rank, and gives it the modules carried whole."""
    try:
        report = inject(pair.base, config)
    except ConfigError as error:
        raise ConfigError(error.what, where="--targets", fix=error.fix) from None
    if report.tables:
        what = f"{report.tables[0]} is a table of embeddings, no linear map"
        raise ConfigError(what, where="--targets", fix="name linear maps")
    modules = adapters(pair.base)
    weights = {name: pair.tuned.get_parameter(f"{name}.weight") for name in modules}
    largest = max(min(weight.shape) for weight in weights.values())
    if config.r > largest:
        raise ConfigError(
            f"the weights have rank {largest} at most, and {config.r} is more than there is",
            where="--rank",
            fix=f"give {largest} or less",
        )
    found = {name: decompose_difference(weights[name], m.weight) for name, m in modules.items()}
    if not any(one.spectrum.norm for one in found.values()):
        what = f"{base} and {tuned} hold the same weights in all {len(found)} targeted linear maps"
        raise ConfigError(what, fix="give the model before the training, and the one after it")
    for name, module in modules.items():
        set_update(module, found[name], rank=config.r, scaling=config.scaling)
    whole = tuple(f"{n}." for n in pair.heads if n.rpartition(".")[2] in config.modules_to_save)
    state = {n: p for n, p in pair.tuned.state_dict().items() if n.startswith(whole)}
    pair.base.load_state_dict(state, strict=False)
    return found


def _not_carried(pair: TunedPair, found: Mapping[str, Decomposition]) -> list[dict[str, Any]]:
    """Lists what changed and has no place in the adapter, the largest change first."""
    squares = pair.squared_changes()
    total = sum(squares.values())
    left = {
        name: square
        for name, square in squares.items()
        if name.removesuffix(".weight") not in found
    }
    ordered = sorted(left.items(), key=lambda item: -item[1])
    return [{"name": name, "share": square / total} for name, square in ordered]


def _name_of(base: str) -> str:
    local = Path(base).expanduser()
    return str(local.resolve()) if local.exists() else base


def _facts_of(facts: Facts, base: str, base_folder: Path) -> Facts:
    """What is said of the adapter: it is of another method, and needs its base."""
    return facts.model_copy(
        update={
            "method": "lora",
            "base_model": _name_of(base),
            "base_sha256": base_identity(base_folder)["sha256"],
        }
    )


def _adapted(
    pipeline: TextClassifier | Tagger | Answerer | Translator,
    pair: TunedPair,
    config: LoRAConfig,
    facts: Facts,
) -> TextClassifier | Tagger | Answerer | Translator:
    """The adapted base, with the tokenizers of the tuned model."""
    if isinstance(pipeline, Translator):
        assert isinstance(pair.base, Transformer), "a translator is one"
        source, target = pipeline.source_tokenizer, pipeline.target_tokenizer
        adaptation = Adaptation(config, pair.family)
        return Translator(pair.base, source, target, facts, pipeline.device, adaptation)
    if isinstance(pipeline, Tagger):
        assert isinstance(pair.base, TokenClassifier), "a tagger is one"
        return Tagger(pair.base, pipeline.tokenizer, facts, pipeline.device, config)
    if isinstance(pipeline, Answerer):
        assert isinstance(pair.base, SpanClassifier), "a finder of answers is one"
        return Answerer(pair.base, pipeline.tokenizer, facts, pipeline.device, config)
    assert isinstance(pair.base, SequenceClassifier), "a classifier is one"
    return TextClassifier(pair.base, pipeline.tokenizer, facts, pipeline.device, config)
