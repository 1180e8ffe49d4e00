"""Opens the tokenizer of a model folder without trusting it.

A ``tokenizer.json`` is a small program: it can hold regular expressions that never end, sizes that
make one long word take minutes, and parts that bring the whole process down. So it is rebuilt from
an allow-list of parts, with their dangerous numbers bounded, before the library sees it.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tokenizers

from lowkey.data.frames import check_template
from lowkey.errors import DataError, LowkeyError, MissingInputError, shown
from lowkey.files import MIB, read_json, read_text

TOKENIZER_FILE = "tokenizer.json"
VOCABULARY_FILE = "vocab.txt"
SETTINGS_FILE = "tokenizer_config.json"
MAX_BYTES = 64 * MIB
MAX_CHARS_PER_WORD = 200
"""WordPiece tries every piece of a word: its time grows with the square of the word's length."""

_PARTS = {
    "model": {"WordPiece", "WordLevel", "BPE", "Unigram"},
    "normalizer": {
        *("Sequence", "BertNormalizer", "Lowercase", "StripAccents", "Strip"),
        *("NFC", "NFD", "NFKC", "NFKD", "Precompiled", "Replace"),
    },
    "pre_tokenizer": {
        *("Sequence", "BertPreTokenizer", "Whitespace", "WhitespaceSplit", "Punctuation"),
        *("Digits", "Metaspace", "FixedLength", "ByteLevel"),
    },
    "decoder": {"WordPiece", "Metaspace", "Fuse", "BPEDecoder", "ByteLevel"},
    "post_processor": {"TemplateProcessing", "BertProcessing", "RobertaProcessing"},
}
_SEQUENCES = {"normalizer": "normalizers", "pre_tokenizer": "pretokenizers"}


def open_tokenizer(path: Path) -> tokenizers.Tokenizer:
    """Opens ``tokenizer.json``, or else a ``vocab.txt`` of BERT, of a model folder.

    Args:
        path: The folder, or a file that holds one of the two, under any name;
            ``tokenizer_config.json`` beside it may set ``do_lower_case``, ``strip_accents`` and
            ``tokenize_chinese_chars``, as in transformers.

    Returns:
        The tokenizer, neither padding nor cutting.

    Raises:
        MissingInputError: If the folder holds neither file.
        DataError: If a file is damaged or holds a part that is not allowed.
    """
    folder = path
    if path.is_file():
        folder = path.parent
    elif (path / TOKENIZER_FILE).exists():
        path = path / TOKENIZER_FILE
    elif (path / VOCABULARY_FILE).exists():
        path = path / VOCABULARY_FILE
    else:
        raise MissingInputError(f"{folder} holds no {TOKENIZER_FILE} and no {VOCABULARY_FILE}")
    if path.suffix == ".txt":
        document = _bert_document(path)
    else:
        document = _allowed_document(read_json(path, max_bytes=MAX_BYTES), path)
    normalizer = document["normalizer"]
    if normalizer is not None and normalizer["type"] == "BertNormalizer":
        document["normalizer"] = normalizer | _normalizer_settings(folder / SETTINGS_FILE)
    with native_errors(f"{path} is not a tokenizer that can be used"):
        tokenizer = tokenizers.Tokenizer.from_str(json.dumps(document))
        # That a vocabulary lacks its own unknown token shows only in a text that needs it.
        tokenizer.encode("\N{SNOWMAN}")
        return tokenizer


@contextmanager
def native_errors(what: str) -> Iterator[None]:
    """Turns whatever a tokenizer library (tokenizers, SentencePiece) raises into one line.

    Args:
        what: What is wrong if it raises.

    Yields:
        Nothing.

    Raises:
        DataError: If the library raised.
    """
    try:
        yield
    except (LowkeyError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        # A panic of Rust code, as in tokenizers, is no Exception: it derives from BaseException.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{what} ({reason[:200]})") from None


def _allowed_document(data: Any, path: Path) -> dict[str, Any]:
    """Rebuilds the content of a ``tokenizer.json`` from its allowed parts."""
    if not isinstance(data, dict) or not isinstance(data.get("model"), dict):
        raise DataError("is not a tokenizer of the tokenizers library", where=str(path))
    for name in _PARTS:
        _check_part(name, data.get(name), path)
    model = dict(data["model"])
    # Old files do not say what their model is.
    model.setdefault("type", "BPE" if "merges" in model else "WordPiece")
    if model["type"] == "WordPiece":
        longest = model.get("max_input_chars_per_word", 100)
        longest = longest if isinstance(longest, int) else MAX_CHARS_PER_WORD
        model["max_input_chars_per_word"] = max(1, min(longest, MAX_CHARS_PER_WORD))
    if model["type"] == "BPE":
        model["dropout"] = None  # the same text always gives the same tokens
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": data.get("added_tokens") or [],
        "normalizer": data.get("normalizer"),
        "pre_tokenizer": data.get("pre_tokenizer"),
        # It says how texts are framed; the frame itself is made anew (see TextTokenizer).
        "post_processor": data.get("post_processor"),
        "decoder": data.get("decoder"),
        "model": model,
    }


def _check_part(name: str, part: Any, path: Path) -> None:
    """Refuses a part, or one inside a sequence of parts, that is not on the list."""
    if part is None:
        return
    kind = (
        part.get("type", "WordPiece" if name == "model" else None)
        if isinstance(part, dict)
        else None
    )
    if not isinstance(kind, str) or kind not in _PARTS[name]:
        raise DataError(
            f"{name} {shown(kind)} is not supported",
            where=str(path),
            fix=f"lowkey reads {', '.join(sorted(_PARTS[name]))}",
        )
    if kind == "Sequence":
        inner = part.get(_SEQUENCES[name])
        for item in inner if isinstance(inner, list) else [inner]:
            _check_part(name, item, path)
    if kind == "FixedLength" and not (isinstance(part.get("length"), int) and part["length"] > 0):
        raise DataError("FixedLength needs a length of at least 1", where=str(path))
    if kind == "Replace":
        _check_replacement(part, path)
    if kind == "TemplateProcessing":
        check_template(part, path)


def _check_replacement(part: Mapping[str, Any], path: Path) -> None:
    """Refuses replacements but those of a few letters, and of spaces by one as in SentencePiece."""
    pattern, content = part.get("pattern"), part.get("content")
    if pattern == {"Regex": " {2,}"} and content == " ":
        return
    old = pattern.get("String") if isinstance(pattern, dict) and len(pattern) == 1 else None
    if not all(isinstance(text, str) and len(text) <= 8 for text in (old, content)) or not old:
        raise DataError(
            f"normalizer Replace of {shown(pattern)} by {shown(content)} is not supported",
            where=str(path),
            fix="lowkey reads those of a few letters, and that of several spaces by one",
        )


def _bert_document(path: Path) -> dict[str, Any]:
    """Builds BERT's tokenizer around a ``vocab.txt``, in which a token's line is its id."""
    # Not splitlines(): a vocabulary may hold U+2028 and its like as tokens.
    tokens = read_text(path).removesuffix("\n").split("\n")
    vocabulary = {token.removesuffix("\r"): number for number, token in enumerate(tokens)}
    specials = [
        name for name in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]") if name in vocabulary
    ]
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": vocabulary[name], "content": name, "special": True, **flags} for name in specials
        ],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": None,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    }


def _normalizer_settings(path: Path) -> dict[str, bool | None]:
    """Reads what ``tokenizer_config.json`` says about letters; it has the last word."""
    if not path.exists():
        return {}
    settings = read_json(path)
    ours = {
        "do_lower_case": "lowercase",
        "strip_accents": "strip_accents",
        "tokenize_chinese_chars": "handle_chinese_chars",
    }
    found = {}
    for theirs, name in ours.items():
        if isinstance(settings, dict) and theirs in settings:
            value = settings[theirs]
            if not isinstance(value, bool) and not (value is None and name == "strip_accents"):
                raise DataError(
                    f"{theirs} must be true or false, got {shown(value)}", where=str(path)
                )
            found[name] = value
    return found
