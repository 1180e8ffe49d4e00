"""Texts as tokens, and the characters of the text that each token stands for."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from lowkey.data.tokenizer import TextTokenizer
from lowkey.data.tokenizer_files import native_errors

_TEXTS_AT_ONCE = 256


class Pieces(NamedTuple):
    """A text as tokens, without special ones.

    Attributes:
        ids: The token ids.
        starts: The character at which each token begins.
        ends: The character behind the last one of each. White space is in no token; one that holds
            nothing else ends before it begins.
    """

    ids: Int64[np.ndarray, " tokens"]
    starts: Int64[np.ndarray, " tokens"]
    ends: Int64[np.ndarray, " tokens"]

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """Finds the tokens that hold some characters.

        Args:
            start: The first character.
            end: The one behind the last.

        Returns:
            The first and the last of these tokens; None if there are none.
        """
        first = int(np.searchsorted(self.ends, start, side="right"))
        last = int(np.searchsorted(self.starts, end, side="left")) - 1
        return (first, last) if first <= last else None


def take_apart(texts: Sequence[str], tokenizer: TextTokenizer) -> list[Pieces]:
    """Tokenizes texts and keeps where the tokens come from.

    Args:
        texts: The texts.
        tokenizer: The tokenizer.

    Returns:
        The tokens of each.

    Raises:
        DataError: If a text cannot be written as UTF-8.
    """
    found = []
    for first in range(0, len(texts), _TEXTS_AT_ONCE):
        portion = list(texts[first : first + _TEXTS_AT_ONCE])
        with native_errors("a text cannot be tokenized"):
            encoded = tokenizer.library.encode_batch(portion, add_special_tokens=False)
        for text, encoding in zip(portion, encoded, strict=True):
            places = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
            starts, ends = _without_space(text, places[:, 0], places[:, 1])
            found.append(Pieces(np.array(encoding.ids, dtype=np.int64), starts, ends))
    return found


def _without_space(
    text: str, starts: Int64[np.ndarray, " tokens"], ends: Int64[np.ndarray, " tokens"]
) -> tuple[Int64[np.ndarray, " tokens"], Int64[np.ndarray, " tokens"]]:
    """Takes off white space that some tokenizers count to the word behind it."""
    places = np.arange(len(text))
    solid = np.fromiter((not char.isspace() for char in text), dtype=bool, count=len(text))
    # By place: the next character that is no space, and how far the last one before it reaches.
    later = np.where(solid, places, len(text))[::-1]
    following = np.append(np.minimum.accumulate(later)[::-1], len(text))
    reached = np.insert(np.maximum.accumulate(np.where(solid, places + 1, 0)), 0, 0)
    return following[starts], reached[ends]
