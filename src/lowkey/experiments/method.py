"""What of a pretrained encoder is trained: the one place where the methods differ."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from lowkey.errors import ConfigError, did_you_mean
from lowkey.experiments.config import FinetuneRecipe
from lowkey.hf.adapter_families import Family
from lowkey.hf.encoder_families import FAMILIES
from lowkey.hf.tagger import tagger_names
from lowkey.hf.weights import open_weights
from lowkey.lora.config import MAX_RANK, LoRAConfig
from lowkey.lora.inject import inject
from lowkey.models.heads import SequenceClassifier, TokenClassifier


def make_trainable(
    model: SequenceClassifier | TokenClassifier,
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
            leave out the head, or if the rank is larger than can be saved.
    """
    pooler = model.encoder.pooler
    held = open_weights(base).infos
    new_pooler = pooler is not None and not any("pooler." in name for name in held)
    if recipe.method == "lora":
        family = model.encoder.config.family
        tags = isinstance(model, TokenClassifier)
        names = tagger_names(family) if tags else FAMILIES[family]
        new = ["pooler"] if new_pooler else []
        if model.transform is not None and not names.brings_transform(held):
            new.append("transform")
        config = _whole(recipe.lora, new, names.adapters)
        say(str(inject(model, config, generator)))
        return config
    if recipe.method == "head":
        model.requires_grad_(False)
        for module in model.head:
            module.requires_grad_(True)
        if pooler is not None and new_pooler:
            pooler.requires_grad_(True)
    return None


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
