"""BPE-dropout: the same text cut differently in every epoch, and always the same way again.

The tokenizers library has it too, with a random generator of its own that cannot be seeded. A run
that resumes exactly needs cuts that are a pure function of seed, epoch and text.
"""

import json
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt64

from lowkey.data.flat import FlatSequences
from lowkey.data.merge_table import MergeTable, scrambled
from lowkey.data.tokenizer import TextTokenizer
from lowkey.errors import ConfigError
from lowkey.runtime import seed_for

_MOST_WORDS = 500_000
"""Words whose letters are remembered; beyond, the memory is emptied and fills anew."""


class SubwordDropout:
    """Cuts words with some of the merges left out.

    A word begins as its characters. Again and again each merge that is possible is left out with
    the given probability, and of the others the one that was learned first is made; the word is
    done when none is left. With probability 0 this is BPE, with 1 the characters remain.

    Each decision is a hash of seed, epoch, text, place in the text and step: it depends neither on
    the other texts nor on what was cut before. A text that holds a special token written out is
    cut as without dropout.

    Args:
        tokenizer: A tokenizer with a BPE model.
        rate: Probability that a merge is left out in one step, in [0, 1].
        key: The key of the recipe that sets the rate, for messages.

    Raises:
        ConfigError: If its model is not plain BPE.

    References:
        Provilkov et al., "BPE-Dropout: Simple and Effective Subword Regularization", 2020,
        algorithm 1.
    """

    def __init__(self, tokenizer: TextTokenizer, rate: float, key: str = "dropout"):
        library = tokenizer.library
        document = json.loads(library.to_str())
        model = document["model"]
        options = ("byte_fallback", "ignore_merges", "fuse_unk", "continuing_subword_prefix")
        odd = [name for name in (*options, "end_of_word_suffix") if model.get(name)]
        if model["type"] != "BPE" or odd or library.pre_tokenizer is None:
            raise ConfigError(
                f"{key} leaves out merges of plain BPE, and this tokenizer is"
                f" {' with '.join([model['type'], *odd[:1]])}",
                fix="set it to 0, or train a tokenizer of kind bpe",
            )
        self.rate = rate
        self._tokenizer = tokenizer
        self._specials = [token["content"] for token in document["added_tokens"]]
        self._vocabulary: dict[str, int] = model["vocab"]
        self._unknown = self._vocabulary.get(model.get("unk_token") or "")
        self._table = MergeTable(self._vocabulary, [tuple(pair) for pair in model["merges"]])
        self._letters: dict[str, list[int]] = {}

    def encode(self, texts: Sequence[str], *, seed: int, epoch: int) -> FlatSequences:
        """Turns texts into token ids, without begin and end tokens.

        Args:
            texts: The texts.
            seed: Seed of the run.
            epoch: Number of the epoch, from 0; each cuts in its own way.

        Returns:
            The ids of all of them.
        """
        words = [self._words(text) for text in texts]
        letters = FlatSequences.of([letter for text in words for letter in text])
        num_words = np.array([len(text) for text in words], dtype=np.int64)
        num_letters = np.array([sum(map(len, text)) for text in words], dtype=np.int64)
        seeds = [seed_for("subword dropout", seed, epoch, text) % 2**64 for text in texts]
        places = _places(np.array(seeds, dtype=np.uint64), num_letters)
        tokens = self._table.apply(letters, places, self.rate)
        ends = np.concatenate([[0], np.cumsum(tokens.lengths)])[np.cumsum(num_words)]
        cut = FlatSequences(tokens.values, np.diff(ends, prepend=0))
        plain = [i for i, text in enumerate(texts) if any(map(text.__contains__, self._specials))]
        if not plain:
            return cut
        whole = self._tokenizer.encode([texts[i] for i in plain], special_tokens=False).tokens
        order = np.arange(len(texts))
        order[plain] = len(texts) + np.arange(len(plain))
        return FlatSequences.join([cut, whole]).take(order)

    def _words(self, text: str) -> list[list[int]]:
        """Splits a text as the tokenizer does; gives the ids of the letters of each word."""
        library = self._tokenizer.library
        if library.normalizer is not None:
            text = library.normalizer.normalize_str(text)
        if len(self._letters) > _MOST_WORDS:
            self._letters.clear()
        words = []
        for word, _ in library.pre_tokenizer.pre_tokenize_str(text):
            letters = self._letters.get(word)
            if letters is None:
                found = [self._vocabulary.get(char, self._unknown) for char in word]
                letters = self._letters[word] = [i for i in found if i is not None]
            if letters:
                words.append(letters)
        return words


def _places(
    seeds: UInt64[np.ndarray, " texts"], lengths: np.ndarray
) -> UInt64[np.ndarray, " letters"]:
    """Hashes the seed of a text with the place of each of its letters."""
    total = int(lengths.sum())
    offsets = np.arange(total) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return scrambled(np.repeat(seeds, lengths) + scrambled(offsets.astype(np.uint64)))
