"""Texts longer than the model reads: refused, cut or split, and never in silence."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from lowkey.data.flat import FlatSequences
from lowkey.data.pair_tokenizer import PairTokenizer
from lowkey.data.pairs import encode_sources
from lowkey.errors import DataError

Long = Literal["error", "truncate", "split"]

# Behind the mark that ends a sentence; scripts without spaces have marks of their own.
_SENTENCE_ENDS = re.compile(
    "(?<=[.!?\u2026])[\"'\u201d\u2019\u00bb)\\]]*\\s+|(?<=[\u3002\uff01\uff1f])"
)
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, eq=False)
class FittingTexts:
    """Texts, or pieces of texts, that the model can read.

    Attributes:
        sources: The tokens of each piece and its end token.
        owners: The text that each piece is of, in their order.
        parts: Which piece of its text each is, from 0.
        num_long: How many texts were cut or split.
    """

    sources: FlatSequences
    owners: list[int]
    parts: list[int]
    num_long: int


def fit_texts(
    texts: Sequence[str],
    tokenizer: PairTokenizer,
    max_length: int | None,
    *,
    long: Long = "error",
    places: Sequence[str] | None = None,
    fix: str = "--long split translates it in pieces, --long truncate cuts off its end",
) -> FittingTexts:
    """Tokenizes sources and deals with those that are too long.

    Args:
        texts: The sources.
        tokenizer: Their tokenizer.
        max_length: Most tokens of a source, its end token included; None is no bound.
        long: "error" refuses a longer one; "truncate" cuts off its end; "split" cuts it into
            pieces that fit, at the end of a sentence if there is one, else at white space.
        places: How messages call each text; None counts them from 1.
        fix: What to do about a text that is refused, for the message.

    Returns:
        What the model can read.

    Raises:
        DataError: If a text is too long and is to be refused, or cannot be written as UTF-8.
    """
    plain = tokenizer.encode(texts, special_tokens=False).tokens
    whole = plain.with_end(tokenizer.end_id)
    too_long = [] if max_length is None else (whole.lengths > max_length).nonzero()[0].tolist()
    owners, parts = list(range(len(texts))), [0] * len(texts)
    if not too_long or max_length is None:
        return FittingTexts(whole, owners, parts, 0)
    if long == "error":
        first = too_long[0]
        more = f" (and {len(too_long) - 1} more)" if len(too_long) > 1 else ""
        raise DataError(
            f"has {whole.lengths[first]} tokens, the model reads {max_length} at most{more}",
            where=places[first] if places else f"text {first + 1}",
            fix=fix,
        )
    if long == "truncate":
        cut = plain.cut(max_length - 1).with_end(tokenizer.end_id)
        return FittingTexts(cut, owners, parts, len(too_long))
    pieces = [[text] for text in texts]
    for i in too_long:
        pieces[i] = list(split_text(texts[i], tokenizer, max_length))
    owners = [i for i, some in enumerate(pieces) for _ in some]
    parts = [part for some in pieces for part in range(len(some))]
    sources = encode_sources([piece for some in pieces for piece in some], tokenizer)
    return FittingTexts(sources, owners, parts, len(too_long))


def long_note(num_long: int, max_length: int | None, long: Long) -> str | None:
    """Says what became of the texts that are too long.

    Args:
        num_long: How many there were.
        max_length: What the model reads.
        long: What was done with them.

    Returns:
        A line for people, or None if there were none.
    """
    if not num_long:
        return None
    count = "1 text is" if num_long == 1 else f"{num_long} texts are"
    done = "cut off there" if long == "truncate" else "translated in pieces"
    return f"{count} longer than {max_length} tokens: {done}"


def split_text(text: str, tokenizer: PairTokenizer, max_length: int) -> Iterator[str]:
    """Cuts a text in halves until every piece fits.

    A cut is made at the end of a sentence, the one nearest to the middle; without one, at white
    space; in a single word, between two characters. Nothing but white space is lost.

    Args:
        text: The text.
        tokenizer: What counts its tokens.
        max_length: Most tokens of a piece, its end token included.

    Yields:
        The pieces in their order.

    Raises:
        DataError: If a single character has more tokens.
    """
    waiting = [text]
    while waiting:
        piece = waiting.pop()
        sources = encode_sources([piece], tokenizer)
        if sources.lengths[0] <= max_length:
            yield piece
            continue
        if len(piece) < 2:
            raise DataError(f"a single character has {sources.lengths[0] - 1} tokens")
        waiting += reversed(_halves(piece))


def _halves(piece: str) -> tuple[str, str]:
    """Cuts a text in two, as near to its middle as the best kind of place allows."""
    piece = piece.strip() or piece
    middle = len(piece) / 2
    for place in (_SENTENCE_ENDS, _SPACES):
        cuts = [m.span() for m in place.finditer(piece) if 0 < m.end() < len(piece)]
        if cuts:
            _, end = min(cuts, key=lambda span: abs(span[1] - middle))
            return piece[:end].rstrip(), piece[end:]
    return piece[: len(piece) // 2], piece[len(piece) // 2 :]
