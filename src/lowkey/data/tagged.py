"""Sentences with a tag for each word, ready for an encoder."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, Integer
from torch import Tensor

from lowkey.data.flat import FlatSequences
from lowkey.data.labelled import on_device
from lowkey.data.labels import LabelMap
from lowkey.data.rows import Rows
from lowkey.data.tags import tag_ids
from lowkey.data.tokenizer import TextTokenizer
from lowkey.data.words import EncodedWords, encode_words
from lowkey.errors import DataError
from lowkey.nn.layout import SequenceLayout


@dataclass(frozen=True, eq=False)
class TaggedBatch:
    """Some sentences as the model takes them.

    Attributes:
        input_ids: The token ids of all sentences, end to end.
        layout: Where each sentence lies.
        first: The row of the first sub-word of each word.
        tags: The tag of each word; None without tags.
    """

    input_ids: Integer[Tensor, " tokens"]
    layout: SequenceLayout
    first: Integer[Tensor, " words"]
    tags: Integer[Tensor, " words"] | None


@dataclass(frozen=True, eq=False)
class TaggedExamples:
    """All sentences of a split, tokenized once.

    Attributes:
        words: The sentences as sub-words.
        tags: The tag of each word, also of those that are cut off; None without tags.
        max_length: Most tokens of a sentence.
        unreadable: Where the first word stands of which the tokenizer leaves nothing.
    """

    words: EncodedWords
    tags: FlatSequences | None
    max_length: int | None
    unreadable: str | None

    @classmethod
    def from_rows(
        cls,
        rows: Rows,
        tokenizer: TextTokenizer,
        tags: LabelMap,
        *,
        max_length: int | None = None,
        truncate: bool = False,
    ) -> "TaggedExamples":
        """Tokenizes rows with ``tokens`` and ``tags``.

        Args:
            rows: The rows.
            tokenizer: The tokenizer of the model.
            tags: The tags, decided from the training rows.
            max_length: Most tokens of a sentence, special tokens included.
            truncate: Whether longer sentences are cut; else they are refused.

        Returns:
            The examples, in the order of the rows.

        Raises:
            DataError: If a tag is none of those known, if a sentence is too long and not to be
                cut, or if nothing is left of a word and there is no unknown token.
        """
        return cls.from_words(
            rows.column("tokens"),
            tokenizer,
            tags=tag_ids(rows, tags),
            max_length=max_length,
            truncate=truncate,
            places=[rows.where(i) for i in range(len(rows))],
            fix="split it, raise data.max_length if the model reads more, or train with"
            " data.long_texts: truncate",
        )

    @classmethod
    def from_words(
        cls,
        sentences: Sequence[Sequence[str]],
        tokenizer: TextTokenizer,
        *,
        tags: FlatSequences | None = None,
        max_length: int | None = None,
        truncate: bool = False,
        places: Sequence[str] | None = None,
        fix: str = "split it",
    ) -> "TaggedExamples":
        """Tokenizes sentences that are lists of words.

        Args:
            sentences: The words of each, at least one.
            tokenizer: The tokenizer of the model.
            tags: The ids of the tags of each, if they are known.
            max_length: Most tokens of a sentence, special tokens included.
            truncate: Whether longer sentences are cut; else they are refused.
            places: How messages call each sentence; None counts them from 1.
            fix: What to do about a sentence that is refused, for the message.

        Returns:
            The examples, in the order of the sentences.

        Raises:
            DataError: If a sentence has no words, is too long and not to be cut, or if nothing is
                left of a word and there is no unknown token.
        """

        def place(i: int) -> str:
            return places[i] if places else f"sentence {i + 1}"

        for i, sentence in enumerate(sentences):
            if not len(sentence):
                raise DataError("there are no words", where=place(i))
        words = encode_words(sentences, tokenizer, max_length)
        if words.cut and not truncate:
            count = len(words.cut)
            share = f" ({count} of {len(sentences)}, {count / len(sentences):.1%}, are longer)"
            raise DataError(
                f"this sentence has {words.too_long[0]} tokens, the model reads {max_length} at"
                f" most{share if len(sentences) > 1 else ''}",
                where=place(words.cut[0]),
                fix=fix,
            )
        lost = words.unreadable
        unreadable = f"{place(lost[0][0])}, word {lost[0][1] + 1}" if lost else None
        return cls(words, tags, max_length, unreadable)

    def __len__(self) -> int:
        """Returns the number of sentences."""
        return len(self.words.tokens)

    @property
    def lengths(self) -> Int64[np.ndarray, " sentences"]:
        """Tokens of each sentence, special tokens included."""
        return self.words.tokens.lengths

    def notes(self, name: str) -> list[str]:
        """Says what is not read as it stands.

        Args:
            name: What the sentences are called, such as "train".

        Returns:
            A line each about sentences that are cut, and words of which nothing is left.
        """
        said = []
        if self.words.cut:
            cut = int(self.words.num_words.sum() - self.words.first.lengths.sum())
            said.append(
                f"note: {len(self.words.cut) / len(self):.1%} of the {name} sentences have more"
                f" than {self.max_length} tokens and are cut: {cut} words are not read"
            )
        if self.unreadable:
            said.append(
                f"note: the tokenizer makes no token of {len(self.words.unreadable)} of the {name}"
                f" words (first: {self.unreadable}); they are read as unknown"
            )
        return said

    def batch(self, ids: Sequence[int], device: torch.device | str = "cpu") -> TaggedBatch:
        """Lays some sentences end to end.

        Args:
            ids: Positions of the sentences, at least one.
            device: Where the tensors are to be.

        Returns:
            The batch, in the order of ``ids``.
        """
        chosen, first = self.words.tokens.take(ids), self.words.first.take(ids)
        rows = first.values + np.repeat(chosen.starts, first.lengths)
        tags = None
        if self.tags is not None:
            all_tags = self.tags.take(ids)
            # The words that are read are the first ones of their sentence.
            places = np.arange(len(all_tags.values)) - np.repeat(all_tags.starts, all_tags.lengths)
            read = places < np.repeat(first.lengths, all_tags.lengths)
            tags = on_device(all_tags.values[read].astype(np.int64), device)
        return TaggedBatch(
            input_ids=on_device(chosen.values.astype(np.int64), device),
            layout=SequenceLayout(torch.from_numpy(chosen.lengths), device),
            first=on_device(rows, device),
            tags=tags,
        )
