"""Trains a tokenizer on texts; the same texts give the same tokenizer."""

import json
from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from lowkey.data.config import TokenizerKind
from lowkey.data.tokenizer import TextTokenizer
from lowkey.errors import ConfigError

UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"
SPECIAL_TOKENS = [UNKNOWN, BEGIN, END]
"""The first entries of every vocabulary. There is no padding token: nothing is padded."""

_INNER = "##"


def train_tokenizer(
    texts: Iterable[str], *, kind: TokenizerKind, vocab_size: int, key: str = "vocab_size"
) -> TextTokenizer:
    """Learns a vocabulary.

    Texts are taken as they are, capital letters and accents included. All kinds but wordpiece and
    whitespace give back every text whose characters they know, to the last space.

    Args:
        texts: The texts to learn from; they are gone through more than once.
        kind: What a token is: ``whitespace`` (what stands between white space), ``character``, or
            pieces of words found by ``bpe``, ``unigram`` or ``wordpiece``.
        vocab_size: Most entries, the three special tokens included.
        key: The key of the recipe that sets it, for messages.

    Returns:
        The tokenizer, with ``<unk>``, ``<s>`` and ``</s>`` as ids 0, 1 and 2.

    Raises:
        ConfigError: If ``vocab_size`` is too small for the characters of the texts.

    References:
        Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", 2016 (bpe).
        Kudo, "Subword Regularization", 2018 (unigram).

    Example:
        >>> tokenizer = train_tokenizer(["a b", "b"], kind="whitespace", vocab_size=8)
        >>> tokenizer.encode(["b c"]).tokens.values.tolist()
        [1, 3, 0, 2]
    """
    trainer = {
        "whitespace": _train_whitespace,
        "character": _train_characters,
        "bpe": _train_bpe,
        "unigram": _train_unigram,
        "wordpiece": _train_wordpiece,
    }[kind]
    try:
        tokenizer = trainer(texts, vocab_size)
    except _TooSmallError:
        characters: set[str] = set()
        for text in texts:  # one by one: union(*texts) would hold all of them
            characters.update(text)
        count = len(characters)
        raise ConfigError(
            f"{key} {vocab_size} is too small for texts of {count} different characters",
            fix=f"raise it to {2 * count} or more, or use the kind bpe",
        ) from None
    tokenizer.add_special_tokens(SPECIAL_TOKENS)
    return TextTokenizer(tokenizer)


class _TooSmallError(ValueError):
    """The vocabulary asked for does not even hold the characters."""


def _train_whitespace(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Takes the most frequent words; decoding joins them by one space."""
    tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    _train(tokenizer, trainers.WordLevelTrainer, texts, vocab_size)
    return tokenizer


def _train_characters(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Takes the most frequent characters, white space included."""
    tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.FixedLength(length=1)
    tokenizer.decoder = decoders.Fuse()
    _train(tokenizer, trainers.WordLevelTrainer, texts, vocab_size)
    return tokenizer


def _train_bpe(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Merges the most frequent neighbours, again and again."""
    tokenizer = _metaspace(models.BPE(unk_token=UNKNOWN))
    alphabet = vocab_size - len(SPECIAL_TOKENS)
    _train(tokenizer, trainers.BpeTrainer, texts, vocab_size, limit_alphabet=alphabet)
    return tokenizer


def _train_unigram(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Thins out a large vocabulary to the pieces that make the texts most probable."""
    tokenizer = _metaspace(models.Unigram())
    try:
        _train(tokenizer, trainers.UnigramTrainer, texts, vocab_size, unk_token=UNKNOWN)
    except Exception as error:
        # The library raises a bare Exception, told apart by nothing but its text.
        if "not large enough" not in str(error):
            raise
        raise _TooSmallError from None
    pieces = json.loads(tokenizer.to_str())["model"]["vocab"][len(SPECIAL_TOKENS) :]
    # The library sums in an order that changes from run to run, and gives rare characters the
    # least score plus 0.0001 for each before it in such an order: both are taken out again here.
    least = min(score for _, score in pieces)
    rare = least + 1e-4 * len(pieces)
    scores = [
        (piece, round(least if len(piece) == 1 and score < rare else score, 3))
        for piece, score in pieces
    ]
    scores.sort(key=lambda entry: (-entry[1], entry[0]))
    specials = [(token, 0.0) for token in SPECIAL_TOKENS]
    tokenizer.model = models.Unigram([*specials, *scores], unk_id=0, byte_fallback=False)
    return tokenizer


def _train_wordpiece(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Merges neighbours as bpe does; pieces inside a word begin with ##, as in BERT."""

    def train(inner: list[str]) -> dict[str, int]:
        tokenizer = _wordpiece(models.WordPiece(unk_token=UNKNOWN))
        size = {"special_tokens": SPECIAL_TOKENS + inner, "limit_alphabet": (vocab_size - 3) // 2}
        _train(tokenizer, trainers.WordPieceTrainer, texts, vocab_size, **size)
        return tokenizer.get_vocab(with_added_tokens=False)

    # The library numbers the single characters inside words in an order that changes from run to
    # run, and breaks ties by these numbers. The second time they are given, in sorted order.
    inner = [piece for piece in train([]) if len(piece) == 3 and piece.startswith(_INNER)]
    return _wordpiece(models.WordPiece(train(sorted(inner)), unk_token=UNKNOWN))


def _metaspace(model: models.Model) -> Tokenizer:
    """Builds a tokenizer that keeps every space, written as U+2581 before the word."""
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def _wordpiece(model: models.WordPiece) -> Tokenizer:
    """Builds a tokenizer that splits at white space and punctuation, as BERT does."""
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=_INNER)
    return tokenizer


def _train(
    tokenizer: Tokenizer,
    trainer: type,
    texts: Iterable[str],
    vocab_size: int,
    **options: object,
) -> None:
    """Runs one of the library's trainers without its progress bar."""
    settings = {"special_tokens": SPECIAL_TOKENS, "show_progress": False} | options
    tokenizer.train_from_iterator(texts, trainer(vocab_size=vocab_size, **settings))
