"""The special tokens that stand around a text, or around two."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer, UInt8

from lowkey.errors import DataError

First = Integer[np.ndarray, " first"]
Second = Integer[np.ndarray, " second"]
Framed = tuple[Integer[np.ndarray, " tokens"], UInt8[np.ndarray, " tokens"]]

FRAMES = (("[CLS]", "[SEP]", "[UNK]"), ("<s>", "</s>", "<unk>"))
"""The begin, end and unknown tokens of BERT's tokenizers; of RoBERTa's and those trained here."""

_PAIRS = (
    # BERT's, and that of models without segments.
    ("{0}0 A0 {1}0 B1 {1}1", "{0}0 A0 {1}0 B0 {1}0"),
    # RoBERTa's; MPNet's, which has no segments either; what lowkey wrote before it knew RoBERTa.
    ("{0}0 A0 {1}0 {1}0 B0 {1}0", "{0}0 A0 {1}0 {1}0 B1 {1}1", "{0}0 A0 {1}0 B1 {1}1"),
)
"""How two texts stand in files, by frame: 0 begins, 1 ends, and a segment follows each part."""


@dataclass(frozen=True)
class Frame:
    """Special tokens to be put around ids, as the tokenizer does around texts.

    Attributes:
        begin_id: Stands in front.
        end_id: Stands behind each text.
        ends_between: How many of it stand between two texts: one in BERT, two in RoBERTa.
        segments: Whether, as in BERT, the second text and its end are segment 1.
    """

    begin_id: int
    end_id: int
    ends_between: int = 1
    segments: bool = True

    def size(self, texts: int) -> int:
        """Counts the special tokens.

        Args:
            texts: How many texts stand together, 1 or 2.

        Returns:
            Their number.
        """
        return 2 if texts == 1 else 2 + self.ends_between

    def around(self, first: First, second: Second | None = None) -> Framed:
        """Puts them around the ids of a text, or of two.

        Args:
            first: The first text.
            second: The second one, if there are two.

        Returns:
            The ids, and the segment of each token.
        """
        parts = [[self.begin_id], first, [self.end_id]]
        if second is not None:
            parts[2:] = [[self.end_id] * self.ends_between, second, [self.end_id]]
        ids = np.concatenate([np.asarray(part, dtype=np.int32) for part in parts])
        segments = np.zeros(len(ids), dtype=np.uint8)
        if second is not None and self.segments:
            segments[len(first) + 1 + self.ends_between :] = 1
        return ids, segments


def pair_frame(begin: str, end: str, *, segments: bool = True) -> str:
    """Says how two texts stand together, in the words of the ``tokenizers`` library.

    Args:
        begin: The begin token.
        end: The end token.
        segments: Whether the second text and its end are segment 1, where the frame is BERT's.

    Returns:
        BERT's frame; RoBERTa's, which knows no segments and puts two ends between the texts, where
        texts begin with ``<s>``.
    """
    if begin == "<s>":
        return f"{begin} $A {end} {end} $B {end}"
    return f"{begin} $A {end} $B:1 {end}:1" if segments else f"{begin} $A {end} $B {end}"


def check_template(part: Mapping[str, Any], path: Path) -> None:
    """Refuses a frame of special tokens other than BERT's and RoBERTa's, which all ours get.

    Args:
        part: The ``TemplateProcessing`` of a ``tokenizer.json``.
        path: The file, for messages.

    Raises:
        DataError: If its tokens stand otherwise.
    """
    known = []
    for (begin, end, _), pairs in zip(FRAMES, _PAIRS, strict=True):
        for pair in pairs:
            single = "{0}0 A0 {1}0"
            known.append([_template(text.format(begin, end)) for text in (single, pair)])
    if [part.get("single"), part.get("pair")] not in known:
        raise DataError(
            "its special tokens do not stand as in BERT ([CLS] A [SEP] B [SEP]) or as in RoBERTa"
            " (<s> A </s> </s> B </s>)",
            where=str(path),
        )


def _template(pieces: str) -> list[dict[str, Any]]:
    """Writes a frame, a text or token and its segment after another, as the library stores it."""
    found = []
    for piece in pieces.split():
        part, segment = piece[:-1], int(piece[-1])
        kind = "Sequence" if part in ("A", "B") else "SpecialToken"
        found.append({kind: {"id": part, "type_id": segment}})
    return found
