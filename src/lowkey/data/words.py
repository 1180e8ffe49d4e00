"""Sentences that come as words, turned into sub-words: which tokens are whose."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from lowkey.data.flat import FlatSequences
from lowkey.data.tokenizer import TextTokenizer
from lowkey.errors import DataError, shown


@dataclass(frozen=True, eq=False)
class EncodedWords:
    """Sentences as tokens, and where in them each word begins.

    Attributes:
        tokens: The token ids of each sentence, begin and end token included.
        first: For each word that is read, the position of its first sub-word in its sentence.
        num_words: Words of each sentence, also those that are cut off.
        cut: The sentences that do not fit, by their position.
        too_long: How many tokens each of these has.
        unreadable: Sentence and word, from 0, of each word of which the tokenizer leaves nothing;
            it is read as the unknown token. Words that are cut off are not among them.
    """

    tokens: FlatSequences
    first: FlatSequences
    num_words: Int64[np.ndarray, " sentences"]
    cut: list[int]
    too_long: list[int]
    unreadable: list[tuple[int, int]]


def encode_words(
    sentences: Sequence[Sequence[str]], tokenizer: TextTokenizer, max_length: int | None = None
) -> EncodedWords:
    """Tokenizes each word as it would be inside a text, and lays the sub-words end to end.

    Args:
        sentences: The words of each sentence, at least one.
        tokenizer: The tokenizer of the model.
        max_length: Most tokens of a sentence, begin and end token included; what is longer loses
            its end. A word whose first sub-word fits is read.

    Returns:
        The sentences.

    Raises:
        ValueError: If a sentence has no words.
        DataError: If a word cannot be written as UTF-8, or nothing is left of it and there is no
            unknown token to stand in its place.
    """
    if not all(map(len, sentences)):
        raise ValueError("a sentence needs words")
    ids: dict[str, int] = {}
    words = FlatSequences.of([[ids.setdefault(w, len(ids)) for w in s] for s in sentences])
    order = words.values.astype(np.int64)
    # Each word is tokenized once. The space in front says that it is no beginning of a text, for
    # tokenizers that tell the two apart, such as RoBERTa's; the others do not see it.
    pieces = tokenizer.encode([f" {word}" for word in ids], special_tokens=False).tokens
    owners = np.repeat(np.arange(len(sentences)), words.lengths)
    empty = (pieces.lengths == 0)[order].nonzero()[0]
    if len(empty):
        pieces = _with_unknown(pieces, list(ids), tokenizer)
    subwords = pieces.take(order)
    lengths = np.bincount(owners, subwords.lengths, len(sentences)).astype(np.int64)
    flat = FlatSequences(subwords.values, lengths)
    # Where the first sub-word of each word stands: behind the begin token of its sentence.
    places = subwords.starts - flat.starts[owners] + 1
    whole = lengths + 2
    long = [] if max_length is None else (whole > max_length).nonzero()[0].tolist()
    if max_length is not None and long:
        flat = flat.cut(max_length - 2)
        read = places < max_length - 1
        places, owners, empty = places[read], owners[read], empty[read[empty]]
    return EncodedWords(
        tokens=flat.with_begin(tokenizer.begin_id).with_end(tokenizer.end_id),
        first=FlatSequences(places, np.bincount(owners, minlength=len(sentences))),
        num_words=words.lengths,
        cut=long,
        too_long=whole[long].tolist(),
        unreadable=[_place(words, int(i)) for i in empty],
    )


def _with_unknown(
    pieces: FlatSequences, words: Sequence[str], tokenizer: TextTokenizer
) -> FlatSequences:
    """Puts the unknown token in the place of words of which nothing is left."""
    if tokenizer.unknown_id is None:
        word = words[int((pieces.lengths == 0).argmax())]
        raise DataError(f"the tokenizer makes no token of the word {shown(word)}")
    values = np.insert(pieces.values, pieces.starts[pieces.lengths == 0], tokenizer.unknown_id)
    return FlatSequences(values, np.maximum(pieces.lengths, 1))


def _place(words: FlatSequences, index: int) -> tuple[int, int]:
    """Finds sentence and word of a word counted over all sentences."""
    sentence = int(np.searchsorted(words.starts, index, side="right")) - 1
    return sentence, index - int(words.starts[sentence])
