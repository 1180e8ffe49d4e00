"""Train a Transformer you can read; adapt BERT and know what it cost."""

import importlib
from typing import Any

__version__ = "0.1.0"

# Where the public names live. They are imported when asked for, because torch takes seconds.
_NAMES = {
    "Encoder": "lowkey.models.encoder:Encoder",
    "MultiHeadAttention": "lowkey.nn.attention:MultiHeadAttention",
    "SequenceLayout": "lowkey.nn.layout:SequenceLayout",
    "Tagger": "lowkey.estimators.tagger:Tagger",
    "TextClassifier": "lowkey.estimators.texts:TextClassifier",
    "TextRegressor": "lowkey.estimators.texts:TextRegressor",
    "Transformer": "lowkey.models.transformer:Transformer",
    "Translator": "lowkey.estimators.translator:Translator",
    "inject_lora": "lowkey.lora.inject:inject",
    "load": "lowkey.pipelines.load:load",
}


def __getattr__(name: str) -> Any:
    """Imports a public name the first time it is used."""
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _NAMES[name].partition(":")
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Lists the public names, imported or not."""
    return sorted({*globals(), *_NAMES})
