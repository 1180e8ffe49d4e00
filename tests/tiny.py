"""Tiny models, adapters and tokenizers for tests: built from a config, never from the network.

Every parameter is random, biases and norms too, so that no two of them can be exchanged unseen.
transformers and peft are imported where they are used: tests that need neither stay fast.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = list("abcdefghijklmnopqrstuvwxyz")
WORDS += ["the", "film", "was", "is", "not", "very", "good", "bad", "great", "dull", "and", "but"]
VOCABULARY = [*SPECIAL_TOKENS, *WORDS, ".", "!", "##s", "##ly"]

BERT_SIZES: dict[str, Any] = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 32,
    "type_vocab_size": 2,
}


def randomise(model: torch.nn.Module, *, seed: int = 0, std: float = 0.3) -> None:
    """Gives every parameter random values; the weights of norms stay around one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator) * std
            parameter.copy_(noise + 1 if name.lower().endswith("norm.weight") else noise)


def bert(*, seed: int = 0, num_labels: int | None = None, **changes: Any) -> Any:
    """A random BERT of transformers in evaluation mode, with a classifier if it has labels."""
    from transformers import BertConfig, BertForSequenceClassification, BertModel

    if num_labels is None:
        model = BertModel(BertConfig(**BERT_SIZES | changes))
    else:
        config = BertConfig(**BERT_SIZES | {"num_labels": num_labels} | changes)
        model = BertForSequenceClassification(config)
    randomise(model, seed=seed)
    return model.eval()


def encoder_config(**changes: Any) -> Any:
    """Our configuration of the same sizes, without dropout."""
    from lowkey.models.config import EncoderConfig

    sizes: dict[str, Any] = {
        "vocab_size": len(VOCABULARY),
        "d_model": 16,
        "num_layers": 2,
        "num_heads": 4,
        "d_ff": 24,
        "max_positions": 32,
        "dropout": 0.0,
        "attention_dropout": 0.0,
    }
    return EncoderConfig(**sizes | changes)


def classifier(*, seed: int = 0, num_labels: int = 2, **changes: Any) -> Any:
    """One of our own classifiers, random and in evaluation mode."""
    from lowkey.models.encoder import Encoder
    from lowkey.models.heads import SequenceClassifier

    model = SequenceClassifier(Encoder(encoder_config(**changes)), num_labels, dropout=0.0)
    randomise(model, seed=seed)
    return model.eval()


def write_tokenizer(folder: Path, vocabulary: Sequence[str] = VOCABULARY) -> None:
    """Writes the tokenizer files of a lower-casing BERT with a small vocabulary."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    ids = {token: i for i, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, ids[token]) for token in ("[CLS]", "[SEP]")],
    )
    tokenizer.add_special_tokens(SPECIAL_TOKENS)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 32}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def write_bert(
    folder: Path, *, seed: int = 0, num_labels: int | None = None, **changes: Any
) -> Any:
    """Writes a random BERT and its tokenizer as transformers saves them; returns the model."""
    model = bert(seed=seed, num_labels=num_labels, **changes)
    model.save_pretrained(folder)
    write_tokenizer(folder)
    return model


def write_adapter(folder: Path, model: Any, *, seed: int = 1, **options: Any) -> Any:
    """Writes a random LoRA adapter of a transformers model as peft saves it.

    ``lora_B`` is not zero, so the adapter changes what the model computes. The model is wrapped in
    place; the wrapped one is returned in evaluation mode.
    """
    from peft import LoraConfig, get_peft_model

    settings = {
        "task_type": "SEQ_CLS",
        "r": 4,
        "lora_alpha": 8,
        "target_modules": ["query", "value"],
    }
    wrapped = get_peft_model(model, LoraConfig(**settings | options))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in wrapped.parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    wrapped.save_pretrained(folder)
    return wrapped.eval()
