"""A model that was trained in full, beside the one it began as: what changed, and how much."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lowkey.errors import ConfigError, shown
from lowkey.hf.adapter_families import Family
from lowkey.hf.answerer import answerer_names
from lowkey.hf.bert import load_classifier
from lowkey.hf.encoder_families import FAMILIES
from lowkey.hf.masked import load_masked, masked_names
from lowkey.hf.tagger import load_tagger, tagger_names
from lowkey.lora.config import TARGET_PRESETS, matches
from lowkey.models.heads import SequenceClassifier, TokenClassifier
from lowkey.models.masked import MaskedLanguageModel
from lowkey.models.span_head import SpanClassifier
from lowkey.models.transformer import Transformer
from lowkey.pipelines.answerer import Answerer
from lowkey.pipelines.bundle import Facts
from lowkey.pipelines.translator_files import TranslatorParts, family_of

Network = SequenceClassifier | TokenClassifier | SpanClassifier | MaskedLanguageModel | Transformer
_OPENED: dict[str, Any] = {"tagging": load_tagger, "answering": Answerer.load_model}
_NAMES = {"tagging": tagger_names, "answering": answerer_names}


@dataclass(frozen=True)
class TunedPair:
    """Two models of the same shapes.

    Attributes:
        base: The model that the training began with; in place of a head it has a new one.
        tuned: The model that came of it.
        family: What adapters of the base call its modules.
    """

    base: Network
    tuned: Network
    family: Family

    @property
    def heads(self) -> list[str]:
        """The modules that stand on the encoder: they have no counterpart in the base."""
        if isinstance(self.tuned, Transformer):
            return []
        held = [name for names in self.family.saved_modules.values() for name in names]
        modules = dict(self.tuned.named_modules())
        return [name for name in dict.fromkeys(held) if name in modules]

    @property
    def linear_maps(self) -> list[str]:
        """The linear maps of the blocks, in the order of the model: what LoRA adapts by default."""
        return [
            name
            for name, module in self.tuned.named_modules()
            if isinstance(module, nn.Linear)
            and any(matches(name, target) for target in TARGET_PRESETS["all-linear"])
        ]

    @torch.no_grad()
    def squared_changes(self) -> dict[str, float]:
        """Measures how far each parameter moved, those of the heads left out.

        Returns:
            The squared Frobenius norm of each difference that is not zero, by name.
        """
        before, outside = dict(self.base.named_parameters()), tuple(f"{n}." for n in self.heads)
        moved = {
            name: float((after.double() - before[name].double()).square().sum())
            for name, after in self.tuned.named_parameters()
            if not name.startswith(outside)
        }
        return {name: square for name, square in moved.items() if square}


def open_pair(base: Path, tuned: Path, facts: Facts | None) -> TunedPair:
    """Opens both models.

    Args:
        base: Folder of the model that the training began with.
        tuned: Folder of the model that came of it.
        facts: What the tuned model says of itself; None for a classifier of other libraries.

    Returns:
        Both.

    Raises:
        ConfigError: If they are of different shapes.
        MissingInputError: If a file is not there.
        DataError: If a file is damaged, or the tuned model is no classifier.
    """
    if facts is not None and facts.kind == "translation":
        family = family_of(base)
        first, last = (TranslatorParts.open(folder).model for folder in (base, tuned))
        before, after = first.config.model_dump(), last.config.model_dump()
        pair = TunedPair(first, last, family)
    elif facts is not None and facts.kind == "fill-mask":
        generator = torch.Generator().manual_seed(0)
        old, new = (load_masked(one, generator=generator) for one in (base, tuned))
        before, after = old.encoder.config.model_dump(), new.encoder.config.model_dump()
        pair = TunedPair(old, new, masked_names(old.encoder.config.family).adapters)
    else:
        kind = facts.kind if facts else "classification"
        opened = _OPENED.get(kind, load_classifier)
        # Heads that have to be drawn are never used; they must not cost the global source a draw.
        generator = torch.Generator().manual_seed(0)
        model = opened(tuned, (len(facts.labels) or 1) if facts else None, generator=generator)
        start = opened(base, model.classifier.out_features, generator=generator)
        before, after = start.encoder.config.model_dump(), model.encoder.config.model_dump()
        family = start.encoder.config.family
        names = _NAMES[kind](family) if kind in _NAMES else FAMILIES[family]
        pair = TunedPair(start, model, names.adapters)
    for key, value in before.items():
        if after.get(key) != value and "dropout" not in key:
            raise ConfigError(
                f"{base} and {tuned} are of different shapes:"
                f" {key} is {shown(value)} and {shown(after.get(key))}",
                fix="give the model that the training began with",
            )
    return pair
