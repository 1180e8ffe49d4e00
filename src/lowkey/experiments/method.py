"""What of a pretrained encoder is trained: the one place where the methods differ."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from lowkey.errors import ConfigError, did_you_mean
from lowkey.experiments.config import FinetuneRecipe
from lowkey.hf.adapter_families import Family
from lowkey.hf.answerer import answerer_names
from lowkey.hf.encoder_families import FAMILIES
from lowkey.hf.masked import holds_prediction
from lowkey.hf.tagger import tagger_names
from lowkey.hf.weights import open_weights
from lowkey.lora.config import MAX_RANK, LoRAConfig
from lowkey.lora.inject import inject
from lowkey.models.heads import SequenceClassifier, TokenClassifier
from lowkey.models.masked import MaskedLanguageModel
from lowkey.models.span_head import SpanClassifier
from lowkey.pipelines.head import is_bias


def make_trainable(
    model: SequenceClassifier | TokenClassifier | SpanClassifier | MaskedLanguageModel,
    recipe: FinetuneRecipe,
    base: Path,
    generator: torch.Generator,
    say: Callable[[str], None],
) -> LoRAConfig | None:
    """Freezes what the method does not train, and adapts the rest where it is LoRA.

    What the base does not hold (the head, and in some checkpoints the pooler) is drawn at random,
    so every method trains and keeps it.

    Args:
        model: The model; changed in place.
        recipe: Names the method.
        base: Folder of the pretrained model.
        generator: Draws the updates.
        say: Takes a line for the user.

    Returns:
        How the model was adapted; None for methods without LoRA.

    Raises:
        ConfigError: If LoRA's options name modules that are not there or cannot be saved, or
            leave out the head, if the rank is larger than can be saved, or if biases are to be
            trained where there are none.
    """
    begin = parts_to_begin(model, base)
    if recipe.method == "lora":
        if isinstance(model, MaskedLanguageModel):
            config = _updates_alone(recipe.lora, model, base)
            say(str(inject(model, config, generator)))
            return config
        family = model.encoder.config.family
        names = FAMILIES[family]
        if isinstance(model, TokenClassifier):
            names = tagger_names(family)
        elif isinstance(model, SpanClassifier):
            names = answerer_names(family)
        new = ["pooler"] if model.encoder.pooler in begin else []
        if model.transform is not None and not names.brings_transform(open_weights(base).infos):
            new.append("transform")
        config = _whole(recipe.lora, new, names.adapters)
        say(str(inject(model, config, generator)))
        return config
    if recipe.method in ("head", "bitfit"):
        model.requires_grad_(False)
        for module in begin:
            module.requires_grad_(True)
        if recipe.method == "bitfit":
            say(_train_biases(model, base))
    return None


def parameter_counts(model: nn.Module, head: Sequence[nn.Module] = ()) -> dict[str, int]:
    """Counts what a model has and what of it is trained.

    Args:
        model: The model.
        head: The modules of its head.

    Returns:
        ``parameters``, ``trainable_parameters`` and ``trainable_parameters_without_head``.
    """
    parameters = list(model.parameters())
    trainable = sum(p.numel() for p in parameters if p.requires_grad)
    of_head = [p for module in head for p in module.parameters()]
    return {
        "parameters": sum(p.numel() for p in parameters),
        "trainable_parameters": trainable,
        "trainable_parameters_without_head": trainable
        - sum(p.numel() for p in of_head if p.requires_grad),
    }


def parts_to_begin(
    model: SequenceClassifier | TokenClassifier | SpanClassifier | MaskedLanguageModel, base: Path
) -> list[nn.Module]:
    """Lists the modules in front of the task: the head, and a pooler that the base does not hold.

    Args:
        model: The model.
        base: Folder of the pretrained model.

    Returns:
        The modules.
    """
    pooler = model.encoder.pooler
    held = pooler is None or any("pooler." in name for name in open_weights(base).infos)
    return [*model.head, *([] if pooler is None or held else [pooler])]


def _train_biases(model: nn.Module, base: Path) -> str:
    """Lets every bias be trained beside the head, those of norms too, and counts them."""
    biases = {n: p for n, p in model.named_parameters() if is_bias(n) and not p.requires_grad}
    if not biases:
        raise ConfigError(
            f"method bitfit trains the biases, and the encoder of {base} has none",
            fix="set method to lora, full or head",
        )
    for parameter in biases.values():
        parameter.requires_grad_(True)
    count = sum(p.numel() for p in biases.values())
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    return (
        f"BitFit trains {count:,} biases, {trainable:,} parameters with the head,"
        f" {trainable / total:.2%} of {total:,}"
    )


def _updates_alone(config: LoRAConfig, model: MaskedLanguageModel, base: Path) -> LoRAConfig:
    """Makes sure that the head for masked tokens, which an adapter cannot hold, is there."""
    if not holds_prediction(base, model.encoder.config.family):
        raise ConfigError(
            f"{base} has no head for masked tokens, and an adapter cannot hold a new one",
            fix="set method: full, or start from a checkpoint that was saved with that head",
        )
    others = [name for name in config.modules_to_save if name != "classifier"]
    if others:
        raise ConfigError(
            f"lora.modules_to_save holds {others[0]}, which an adapter for task mlm cannot hold",
            fix="leave it out",
        )
    return config.model_copy(update={"modules_to_save": []})


def _whole(config: LoRAConfig, new: Sequence[str], family: Family) -> LoRAConfig:
    """Makes sure that the modules trained whole can be saved, and that none is forgotten."""
    key, modules = "lora.modules_to_save", list(config.modules_to_save)
    known = [name.rpartition(".")[2] for held in family.saved_modules.values() for name in held]
    for name in modules:
        if name not in known:
            near = did_you_mean(name.rpartition(".")[2], known)
            raise ConfigError(
                f"{key} holds {name}, which an adapter cannot hold",
                fix=f"did you mean {near}?" if near else f"there are {', '.join(known)}",
            )
    if "classifier" not in modules:
        raise ConfigError(
            f"{key} leaves out classifier: the new head would be neither trained nor saved",
            fix=f"set {key} to [{', '.join(['classifier', *modules])}]",
        )
    parts = max(family.parts.values(), default=1)
    largest = MAX_RANK // parts // (2 if config.init_lora_weights == "pissa" else 1)
    rank = max(config.r, *config.rank_pattern.values(), 0)
    if rank > largest:
        raise ConfigError(
            f"lora.r {rank} is too large: adapters of {family.title} are saved at up to {parts}"
            f" times their rank, which may be {MAX_RANK}",
            fix=f"set it to {largest} or less",
        )
    modules += [name for name in new if name not in modules]
    return config.model_copy(update={"modules_to_save": modules})
