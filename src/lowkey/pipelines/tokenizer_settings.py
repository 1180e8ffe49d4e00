"""What transformers has to be told of a tokenizer beside its file."""

from pathlib import Path

from lowkey.data.tokenizer import TextTokenizer
from lowkey.files import write_json

_PADDING = ("[PAD]", "<pad>")


def write_settings(tokenizer: TextTokenizer, folder: Path) -> None:
    """Writes ``tokenizer_config.json``.

    Args:
        tokenizer: The tokenizer.
        folder: An existing folder.

    Raises:
        CannotWriteError: If the file cannot be written.
    """
    # Left to itself, transformers takes the tokenizer of a BERT for one that lower-cases.
    settings = {"tokenizer_class": "PreTrainedTokenizerFast"}
    tokens = tokenizer.tokens(range(tokenizer.vocab_size))
    for padding in _PADDING:
        if padding in tokens:
            settings["pad_token"] = padding
    write_json(folder / "tokenizer_config.json", settings)
