"""Opens a tokenizer that is there already, whichever of the known kinds it is."""

import hashlib
import os
import tempfile
from pathlib import Path

import sentencepiece

from lowkey.data.pair_tokenizer import PairTokenizer
from lowkey.data.sentencepiece_files import read_pieces
from lowkey.data.sentencepiece_tokenizer import PIECES_FILE, SentencePieceTokenizer
from lowkey.data.tokenizer import TextTokenizer
from lowkey.data.tokenizer_files import TOKENIZER_FILE, VOCABULARY_FILE, native_errors
from lowkey.errors import DataError, MissingInputError, did_you_mean

_MODEL_ENDINGS = (".model", ".spm")


def existing_tokenizer(source: str, key: str) -> PairTokenizer:
    """Opens the tokenizer that a recipe names.

    Args:
        source: ``tokenizer.json``, a SentencePiece model (``*.model``, ``*.spm``), a folder
            with one of them or a ``vocab.txt`` of BERT, or a tokenizer of a trained model such as
            ``runs/x/best/source``.
        key: The key that names it, for messages.

    Returns:
        The tokenizer.

    Raises:
        MissingInputError: If there is no such file, or the folder holds none.
        DataError: If it is damaged, of a kind not known here, or without begin and end tokens.
    """
    path = Path(os.path.expanduser(source))
    if not path.exists():
        near = None
        if path.parent.is_dir():
            near = did_you_mean(path.name, [entry.name for entry in path.parent.iterdir()])
        fix = None if near is None else f"did you mean {path.parent / near}?"
        raise MissingInputError(f"no such file or folder {path}", where=key, fix=fix)
    if path.is_file():
        is_model = path.suffix in _MODEL_ENDINGS
        return _sentencepiece_model(path) if is_model else TextTokenizer.load(path)
    if any((path / name).exists() for name in (TOKENIZER_FILE, VOCABULARY_FILE, PIECES_FILE)):
        return load_tokenizer(path)
    models = sorted(entry for entry in path.iterdir() if entry.suffix in _MODEL_ENDINGS)
    if len(models) > 1:
        names = " and ".join(entry.name for entry in models)
        raise DataError(f"{path} holds {names}", where=key, fix="name the file")
    if models:
        return _sentencepiece_model(models[0])
    inner = path / "best" / "source"
    raise MissingInputError(
        f"{path} holds no {TOKENIZER_FILE}, {VOCABULARY_FILE} or SentencePiece model",
        where=key,
        fix=f"did you mean {inner}?" if inner.exists() else None,
    )


def load_tokenizer(folder: Path) -> PairTokenizer:
    """Opens a tokenizer from the folder that ``save`` filled.

    Args:
        folder: The folder.

    Returns:
        The tokenizer.

    Raises:
        MissingInputError: If a file is not there.
        DataError: If a file is damaged.
    """
    if (folder / PIECES_FILE).exists():
        return SentencePieceTokenizer.load(folder)
    return TextTokenizer.load(folder)


def tokenizer_sha256(tokenizer: PairTokenizer) -> str:
    """Hashes all that decides how a tokenizer cuts texts.

    Args:
        tokenizer: The tokenizer.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(Path(folder))
        for path in sorted(Path(folder).iterdir()):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _sentencepiece_model(path: Path) -> SentencePieceTokenizer:
    """Opens a model file whose own ids are the vocabulary.

    An output begins with its begin token or, as in Marian and T5, with padding if it has none.
    """
    content = read_pieces(path)
    with native_errors(f"{path} is not a SentencePiece model that can be used"):
        model = sentencepiece.SentencePieceProcessor()
        model.LoadFromSerializedProto(content)
        names = [model.id_to_piece(i) for i in range(model.get_piece_size())]
        begin = model.bos_id() if model.bos_id() >= 0 else model.pad_id()
        end, unknown = model.eos_id(), model.unk_id()
    for number, name, flag in ((begin, "begin", "bos"), (end, "end", "eos")):
        if number < 0:
            what, fix = f"has no {name} token", f"train it without --{flag}_id=-1"
            raise DataError(f"the SentencePiece model {what}", where=str(path), fix=fix)
    specials = {"unk_token": unknown, "eos_token": end, "pad_token": begin}
    return SentencePieceTokenizer(
        content,
        {name: number for number, name in enumerate(names)},
        {key: names[number] for key, number in specials.items()},
        where=str(path),
    )
