"""The tokenizer files of a Marian folder, both sides, read and written as transformers does."""

from pathlib import Path
from typing import Any

from lowkey.data.sentencepiece_files import read_pieces, read_specials, read_vocabulary
from lowkey.data.sentencepiece_tokenizer import VOCABULARY_FILE, SentencePieceTokenizer
from lowkey.data.tokenizer_files import SETTINGS_FILE
from lowkey.errors import DataError, MissingInputError, shown
from lowkey.files import read_json, write_bytes, write_json

SOURCE_PIECES, TARGET_PIECES = "source.spm", "target.spm"
TARGET_VOCABULARY_FILE = "target_vocab.json"


def load_marian_tokenizers(folder: Path) -> tuple[SentencePieceTokenizer, SentencePieceTokenizer]:
    """Opens both tokenizers of a Marian folder.

    Args:
        folder: Holds ``source.spm``, ``target.spm`` and ``vocab.json``; where
            ``tokenizer_config.json`` says ``separate_vocabs``, a ``target_vocab.json`` too.

    Returns:
        The tokenizers of sources and of targets.

    Raises:
        MissingInputError: If a file is not there.
        DataError: If a file is damaged, or the files do not belong together.
    """
    for name in (SOURCE_PIECES, TARGET_PIECES, VOCABULARY_FILE):
        if not (folder / name).exists():
            raise MissingInputError(
                f"{folder} holds no {name}",
                fix="fetch all files of the model, not its weights alone",
            )
    settings = folder / SETTINGS_FILE
    specials = read_specials(settings)
    vocabulary = target_vocabulary = read_vocabulary(folder / VOCABULARY_FILE)
    if _are_separate(settings):
        target_vocabulary = read_vocabulary(folder / TARGET_VOCABULARY_FILE)
    source, target = folder / SOURCE_PIECES, folder / TARGET_PIECES
    return (
        SentencePieceTokenizer(read_pieces(source), vocabulary, specials, where=str(source)),
        SentencePieceTokenizer(read_pieces(target), target_vocabulary, specials, where=str(target)),
    )


def _are_separate(path: Path) -> bool:
    settings = read_json(path) if path.exists() else {}
    separate = settings.get("separate_vocabs", False)
    if not isinstance(separate, bool):
        what = f"separate_vocabs must be true or false, got {shown(separate)}"
        raise DataError(what, where=str(path))
    return separate


def save_marian_tokenizers(
    source: SentencePieceTokenizer, target: SentencePieceTokenizer, folder: Path, *, max_length: int
) -> None:
    """Writes both tokenizers so that ``MarianTokenizer`` reads them.

    Args:
        source: Tokenizer of the sources.
        target: Tokenizer of the targets.
        folder: An existing folder.
        max_length: Most tokens of a text.

    Raises:
        CannotWriteError: If a file cannot be written.
    """
    separate = source.vocabulary != target.vocabulary
    settings: dict[str, Any] = {
        "tokenizer_class": "MarianTokenizer",
        "separate_vocabs": separate,
        "model_max_length": max_length,
        **source.specials,
    }
    write_bytes(folder / SOURCE_PIECES, source.pieces)
    write_bytes(folder / TARGET_PIECES, target.pieces)
    write_json(folder / VOCABULARY_FILE, source.vocabulary)
    if separate:
        settings["target_vocab_file"] = TARGET_VOCABULARY_FILE
        write_json(folder / TARGET_VOCABULARY_FILE, target.vocabulary)
    write_json(folder / SETTINGS_FILE, settings)
