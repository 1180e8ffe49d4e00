"""The merges of BPE, applied to many words at once."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, UInt64

from lowkey.data.flat import FlatSequences

_NEVER = np.int64(1) << 40
"""Rank of a pair that cannot be merged; times the symbols of a call it still fits into 64 bits."""


class _Symbols(NamedTuple):
    """What words consist of at some step, end to end."""

    ids: Int64[np.ndarray, " symbols"]
    ranks: Int64[np.ndarray, " symbols"]  # of the merge with the next symbol
    products: Int64[np.ndarray, " symbols"]  # what it makes
    words: Int64[np.ndarray, " symbols"]
    places: UInt64[np.ndarray, " symbols"]  # hash of text and place, where decisions come from


class MergeTable:
    """The merges that BPE learned, in their order.

    Args:
        vocabulary: The id of each token.
        merges: The pairs, the first one learned first.
    """

    def __init__(self, vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]]):
        self._size = max(vocabulary.values()) + 1
        # A pair that is listed twice has its last rank, as in the library.
        table = {
            vocabulary[a] * self._size + vocabulary[b]: (rank, vocabulary[a + b])
            for rank, (a, b) in enumerate(merges)
        }
        keys = sorted(table)
        # One more than any pair, so that every search ends at an entry.
        self._keys = np.array([*keys, self._size**2], dtype=np.int64)
        self._ranks = np.array([*(table[key][0] for key in keys), _NEVER], dtype=np.int64)
        self._products = np.array([*(table[key][1] for key in keys), 0], dtype=np.int64)

    def apply(
        self,
        letters: FlatSequences,
        places: UInt64[np.ndarray, " letters"],
        rate: float,
    ) -> FlatSequences:
        """Merges the letters of words until nothing is left to merge, some merges left out.

        Args:
            letters: The ids of the characters of each word, at least one.
            places: A hash for each letter; the decisions about a merge that begins at it follow
                from it and the number of the step.
            rate: Probability that a merge is left out in one step, in [0, 1].

        Returns:
            The tokens of each word.
        """
        ids = letters.values.astype(np.int64)
        words = np.repeat(np.arange(len(letters)), letters.lengths)
        ranks, products = self._look_up(ids[:-1], ids[1:])
        ranks = np.append(np.where(words[:-1] == words[1:], ranks, _NEVER), _NEVER)
        symbols = _Symbols(ids, ranks, np.append(products, 0), words, places)
        finished: list[_Symbols] = []
        step = 0
        while len(symbols.ids):
            symbols, done = self._step(symbols, rate, step)
            finished.append(done)
            step += 1
        words = np.concatenate([part.words for part in finished] or [words])
        ids = np.concatenate([part.ids for part in finished] or [ids])
        order = np.argsort(words, kind="stable")
        lengths = np.bincount(words, minlength=len(letters)).astype(np.int64)
        return FlatSequences(ids[order].astype(np.int32), lengths)

    def _step(self, symbols: _Symbols, rate: float, step: int) -> tuple[_Symbols, _Symbols]:
        """Makes the first merge of each word that is not left out; parts off the finished words."""
        count = len(symbols.ids)
        ranks = symbols.ranks
        if rate:
            ranks = np.where(_uniform(symbols.places, step) < rate, _NEVER, ranks)
        starts = np.flatnonzero(np.diff(symbols.words, prepend=-1))
        # Rank and position in one number: the least is the first merge, the leftmost of equals.
        least = np.minimum.reduceat(ranks * count + np.arange(count), starts)
        goes_on = least < _NEVER * count
        lengths = np.diff(starts, append=count)
        active = np.repeat(goes_on, lengths)
        done = _Symbols(*(column[~active] for column in symbols))
        at = least[goes_on] % count
        symbols.ids[at] = symbols.products[at]
        active[at + 1] = False
        new = np.cumsum(active) - 1
        left = _Symbols(*(column[active] for column in symbols))
        at = new[at]
        for where in (at, at - 1):
            self._renew(left, where[where >= 0])
        return left, done

    def _renew(self, symbols: _Symbols, at: Int64[np.ndarray, " merged"]) -> None:
        """Looks the pairs that begin at some positions up again."""
        end = len(symbols.ids) - 1
        after = np.minimum(at + 1, end)
        ranks, products = self._look_up(symbols.ids[at], symbols.ids[after])
        inside = (at < end) & (symbols.words[at] == symbols.words[after])
        symbols.ranks[at] = np.where(inside, ranks, _NEVER)
        symbols.products[at] = products

    def _look_up(
        self, left: Int64[np.ndarray, " pairs"], right: Int64[np.ndarray, " pairs"]
    ) -> tuple[Int64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"]]:
        """Finds the rank and the product of pairs; ``_NEVER`` where there is no such merge."""
        keys = left * self._size + right
        found = np.searchsorted(self._keys, keys)
        known = self._keys[found] == keys
        return np.where(known, self._ranks[found], _NEVER), self._products[found]


def scrambled(values: UInt64[np.ndarray, " values"]) -> UInt64[np.ndarray, " values"]:
    """Mixes the bits of numbers so that neighbours have nothing in common.

    Args:
        values: Any numbers.

    Returns:
        As many numbers that look random; different for different ones.

    References:
        Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014 (the
        finaliser of SplitMix64).
    """
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _uniform(places: UInt64[np.ndarray, " symbols"], step: int) -> np.ndarray:
    """Draws a number in [0, 1) for each place, another one in each step."""
    offset = np.uint64((step + 1) * 0x9E3779B97F4A7C15 % 2**64)
    return (scrambled(places + offset) >> np.uint64(11)) * 2.0**-53
