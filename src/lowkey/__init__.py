"""Train a Transformer you can read; adapt BERT and know what it cost."""

__version__ = "0.1.0"
