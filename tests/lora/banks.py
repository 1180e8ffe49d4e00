"""Banks of tiny random adapters."""

from collections.abc import Sequence
from typing import Any

import tiny
import torch
from torch import nn

from lowkey.lora.bank import AdapterBank
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import inject
from lowkey.lora.rows import Rows
from lowkey.models.heads import SequenceClassifier
from lowkey.nn.layout import SequenceLayout

KINDS = SequenceClassifier.row_kinds


def adapted(
    seed: int = 1, num_labels: int = 2, **options: Any
) -> tuple[SequenceClassifier, LoRAConfig]:
    """The base with a random adapter and a head of so many labels."""
    model, config = tiny.classifier(), LoRAConfig(**{"r": 2, "lora_alpha": 6, **options})
    model.classifier = nn.Linear(16, num_labels)
    inject(model, config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("lora_magnitude_vector"):
                parameter.mul_(torch.rand(len(parameter), generator=generator) + 0.5)
            elif parameter.requires_grad:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model.eval(), config


def bank_of(**models: tuple[SequenceClassifier, LoRAConfig]) -> AdapterBank:
    bank = AdapterBank(tiny.classifier(), KINDS, base="tiny")
    for name, (model, config) in models.items():
        bank.add(name, model, config, base="tiny")
    return bank


def batch(lengths: Sequence[int]) -> tuple[torch.Tensor, SequenceLayout]:
    layout = SequenceLayout(lengths)
    generator = torch.Generator().manual_seed(layout.num_tokens)
    return torch.randint(0, 30, (layout.num_tokens,), generator=generator), layout


@torch.no_grad()
def mixed(bank: AdapterBank, names: Sequence[str | None], lengths: Sequence[int]) -> torch.Tensor:
    with bank.route(tokens=Rows(names, lengths), sentences=Rows(names)):
        return bank.model(*batch(lengths))
