"""Tiny random models of every family of encoders, as transformers makes and saves them."""

from pathlib import Path
from typing import Any

import tiny

_SIZES: dict[str, Any] = {**tiny.BERT_SIZES, "layer_norm_eps": 1e-5}
_ROBERTA: dict[str, Any] = {
    **_SIZES,
    "type_vocab_size": 1,
    "pad_token_id": 1,
    "max_position_embeddings": 34,
}
SIZES: dict[str, dict[str, Any]] = {
    "bert": _SIZES,
    "roberta": _ROBERTA,
    "xlm-roberta": {**_ROBERTA, "hidden_act": "relu"},
    "camembert": _ROBERTA,
    "distilbert": {
        "vocab_size": len(tiny.VOCABULARY),
        "dim": 16,
        "n_layers": 2,
        "n_heads": 4,
        "hidden_dim": 24,
        "max_position_embeddings": 32,
    },
    "electra": {**_SIZES, "embedding_size": 8, "num_hidden_layers": 3},
    "mpnet": {k: v for k, v in _ROBERTA.items() if k != "type_vocab_size"},
    "modernbert": {
        "vocab_size": len(tiny.VOCABULARY),
        "hidden_size": 16,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 24,
        "max_position_embeddings": 32,
        "local_attention": 6,
        **{f"{name}_token_id": i for i, name in enumerate(["pad", "bos", "cls", "sep", "eos"])},
    },
    "albert": {**_SIZES, "embedding_size": 8, "num_hidden_layers": 3},
}
"""What makes a model of each family tiny."""

NO_DROPOUT = {
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "seq_classif_dropout": 0.0,
    "classifier_dropout_prob": 0.0,
    "classifier_dropout": 0.0,
}
"""Every family's rates at nothing."""


PEFT_TARGETS = {"distilbert": ["q_lin", "v_lin"], "mpnet": ["q", "v"], "modernbert": ["Wqkv"]}
"""Query and value as users of peft name them, where it is not query and value."""


def peft_targets(family: str) -> list[str]:
    """Query and value in the family's names."""
    return PEFT_TARGETS.get(family, ["query", "value"])


def head_modules(model: Any) -> list[str]:
    """The names of the modules that one of our classifiers trains from nothing."""
    names = {id(module): name for name, module in model.named_modules()}
    return [names[id(module)] for module in model.head]


def model(family: str, *, seed: int = 0, num_labels: int | None = None, **changes: Any) -> Any:
    """A random model of transformers in evaluation mode, with a classifier if it has labels."""
    from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

    sizes = SIZES[family] | changes
    if num_labels is not None:
        sizes["num_labels"] = num_labels
    made = AutoModel if num_labels is None else AutoModelForSequenceClassification
    network = made.from_config(AutoConfig.for_model(family, **sizes))
    tiny.randomise(network, seed=seed)
    return network.eval()


def write(
    folder: Path, family: str, *, seed: int = 0, num_labels: int | None = None, **changes: Any
) -> Any:
    """Writes such a model and a tokenizer; returns the model."""
    network = model(family, seed=seed, num_labels=num_labels, **changes)
    network.save_pretrained(folder)
    tiny.write_tokenizer(folder)
    return network
