"""Texts longer than an encoder reads: refused, cut, or read in windows that overlap."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt8

from lowkey.data.config import LongTexts
from lowkey.data.flat import FlatSequences
from lowkey.data.tokenizer import TextTokenizer
from lowkey.errors import DataError


@dataclass(frozen=True)
class Fit:
    """How texts are made to fit.

    Attributes:
        max_length: Most tokens that the model reads at once, special tokens included; None: any.
        long_texts: What becomes of texts that are longer.
        stride: Tokens that two windows share; None: a quarter of ``max_length``.
    """

    max_length: int | None = None
    long_texts: LongTexts = "truncate"
    stride: int | None = None

    @property
    def shared(self) -> int:
        """Tokens that two windows share."""
        return (self.max_length or 0) // 4 if self.stride is None else self.stride


WHOLE = Fit()
"""For models that read texts of any length."""


@dataclass(frozen=True, eq=False)
class FittedTexts:
    """Texts, or pairs of texts, that the model can read.

    Attributes:
        tokens: The token ids of each text, or of each of its windows, text after text.
        segment_ids: For pairs, the segment of each token.
        windows: How many windows each text has; None if each has one.
        whole: How many tokens each text has as it stands, special tokens included.
    """

    tokens: FlatSequences
    segment_ids: UInt8[np.ndarray, " tokens"] | None
    windows: Int64[np.ndarray, " texts"] | None
    whole: Int64[np.ndarray, " texts"]


def window_starts(length: int, room: int, stride: int) -> list[int]:
    """Lays windows over a text, so that each token is in one and the last ends with the text.

    Args:
        length: Tokens of the text.
        room: Tokens of a window.
        stride: Tokens that two windows share, fewer than ``room``.

    Returns:
        Where each window begins.

    Raises:
        ValueError: If a window would not get ahead.

    Example:
        >>> window_starts(10, 6, 2)
        [0, 4]
    """
    if not 0 <= stride < room:
        raise ValueError(f"windows of {room} tokens cannot share {stride}")
    return list(range(0, max(length - stride, 1), room - stride))


def fit_to_length(
    texts: Sequence[str],
    pairs: Sequence[str] | None,
    tokenizer: TextTokenizer,
    fit: Fit,
    *,
    places: Sequence[str] | None = None,
    fix: str = "shorten it",
) -> FittedTexts:
    """Tokenizes texts, and deals with those that are too long.

    Of a pair the longer text is read in windows, and the other one is repeated in each of them.

    Args:
        texts: The texts.
        pairs: A second text for each, if they come in pairs.
        tokenizer: The tokenizer of the model.
        fit: What the model reads, and what becomes of the rest.
        places: How messages call each text; None counts them from 1.
        fix: What to do about a text that is refused, for the message.

    Returns:
        What the model reads, in the order of the texts.

    Raises:
        DataError: If a text is too long and is to be refused, if the shorter text of a pair leaves
            no room for windows of the other, or if a text cannot be written as UTF-8.
    """
    encoded = tokenizer.encode(texts, pairs)
    whole, limit = encoded.tokens.lengths, fit.max_length
    long = [] if limit is None else (whole > limit).nonzero()[0].tolist()
    if limit is None or not long:
        return FittedTexts(encoded.tokens, encoded.segment_ids, None, whole)

    def place(i: int) -> str:
        return places[i] if places else f"text {i + 1}"

    if fit.long_texts == "error":
        count = f" ({len(long)} of {len(whole)}, {len(long) / len(whole):.1%}, are longer)"
        raise DataError(
            f"this text has {whole[long[0]]} tokens, the model reads {limit} at most"
            f"{count if len(whole) > 1 else ''}",
            where=place(long[0]),
            fix=fix,
        )
    firsts = [texts[i] for i in long]
    seconds = None if pairs is None else [pairs[i] for i in long]
    counts = np.ones(len(whole), dtype=np.int64)
    if fit.long_texts == "truncate":
        cut = tokenizer.encode(firsts, seconds, max_length=limit)
        tokens, segments = cut.tokens, cut.segment_ids
    else:
        windows = _windows(firsts, seconds, tokenizer, fit, [place(i) for i in long])
        counts[long] = [len(some) for some in windows]
        framed = [one for some in windows for one in some]
        tokens = FlatSequences.of([ids.tolist() for ids, _ in framed])
        segments = np.concatenate([segment_ids for _, segment_ids in framed])
    # Each short text, and in the place of each long one what was made of it.
    order = np.repeat(np.arange(len(whole)), counts)
    order[np.isin(order, long)] = len(whole) + np.arange(len(tokens))
    chosen = FlatSequences.join([encoded.tokens, tokens])
    segment_ids = None
    if encoded.segment_ids is not None and segments is not None:
        both = np.concatenate([encoded.segment_ids, segments])
        segment_ids = FlatSequences(both, chosen.lengths).take(order).values
    in_windows = counts if fit.long_texts == "window" else None
    return FittedTexts(chosen.take(order), segment_ids, in_windows, whole)


def _windows(
    texts: Sequence[str],
    pairs: Sequence[str] | None,
    tokenizer: TextTokenizer,
    fit: Fit,
    places: Sequence[str],
) -> list[list[tuple[np.ndarray, np.ndarray]]]:
    """Cuts long texts, or the longer one of each pair, into windows with special tokens."""
    frame, limit = tokenizer.frame, fit.max_length or 0
    firsts = _parts(tokenizer, texts)
    if pairs is None:
        room = refuse_no_room(limit - frame.size(1), fit, places[0])
        return [[frame.around(part) for part in windows_of(ids, room, fit)] for ids in firsts]
    found = []
    for first, second, where in zip(firsts, _parts(tokenizer, pairs), places, strict=True):
        shorter = min(len(first), len(second))
        room = refuse_no_room(limit - frame.size(2) - shorter, fit, where)
        if len(first) > len(second):
            found.append([frame.around(part, second) for part in windows_of(first, room, fit)])
        else:
            found.append([frame.around(first, part) for part in windows_of(second, room, fit)])
    return found


def windows_of(ids: np.ndarray, room: int, fit: Fit) -> list[np.ndarray]:
    """Cuts the ids of a text into windows.

    Args:
        ids: The ids.
        room: Tokens of a window.
        fit: How many of them two windows share.

    Returns:
        The windows; the last may be shorter.
    """
    return [ids[start : start + room] for start in window_starts(len(ids), room, fit.shared)]


def refuse_no_room(room: int, fit: Fit, where: str, repeated: str = "the shorter text") -> int:
    """Makes sure that windows get ahead.

    Args:
        room: Tokens that are left for a window.
        fit: How many of them two windows share.
        where: The text, for the message.
        repeated: What takes the rest, for the message.

    Returns:
        The same number.

    Raises:
        DataError: If all of them, or more, would be shared.
    """
    if room <= fit.shared:
        raise DataError(
            f"of the {fit.max_length} tokens that the model reads, {max(room, 0)} are left for a"
            f" window, of which the next one is to share {fit.shared}",
            where=where,
            fix=f"shorten {repeated}, raise data.max_length or lower data.stride",
        )
    return room


def _parts(tokenizer: TextTokenizer, texts: Sequence[str]) -> list[np.ndarray]:
    """Tokenizes texts without special tokens."""
    tokens = tokenizer.encode(texts, special_tokens=False).tokens
    return np.split(tokens.values, np.cumsum(tokens.lengths)[:-1])
