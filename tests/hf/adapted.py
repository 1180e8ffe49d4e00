"""A tiny BERT with adapters, in both libraries."""

import tiny
import torch

from lowkey.hf.bert import load_classifier
from lowkey.lora.inject import inject
from lowkey.nn.layout import SequenceLayout

IDS = torch.tensor([[2, 7, 9, 3, 0], [2, 11, 30, 5, 3], [2, 3, 0, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])


def write_base(folder):
    tiny.write_bert(folder, num_labels=3)
    return folder


def their_base(base):
    from transformers import BertForSequenceClassification

    return BertForSequenceClassification.from_pretrained(base).eval()


@torch.no_grad()
def their_logits(model):
    return model(input_ids=IDS, attention_mask=MASK).logits


@torch.no_grad()
def our_logits(model):
    return model.eval()(*SequenceLayout.from_padded(IDS, MASK))


@torch.no_grad()
def adapted(base, config):
    """Our model with a random update; norms and all frozen weights stay those of the base."""
    model = load_classifier(base)
    inject(model, config)
    generator = torch.Generator().manual_seed(3)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model
