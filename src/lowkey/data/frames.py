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


def pair_frame(begin: str, end: str) -> str:
    """Says how two texts stand together, in the words of the ``tokenizers`` library.

    Args:
        begin: The begin token.
        end: The end token.

    Returns:
        BERT's frame, in which the second text and its end are segment 1; RoBERTa's, which knows no
        segments and puts two ends between the texts, where texts begin with ``<s>``.
    """
    if begin == "<s>":
        return f"{begin} $A {end} {end} $B {end}"
    return f"{begin} $A {end} $B:1 {end}:1"


def check_template(part: Mapping[str, Any], path: Path) -> None:
    """Refuses a frame of special tokens other than BERT's and RoBERTa's, which all ours get.

    Args:
        part: The ``TemplateProcessing`` of a ``tokenizer.json``.
        path: The file, for messages.

    Raises:
        DataError: If its tokens stand otherwise.
    """
    (bert_begin, bert_end, _), (begin, end, _) = FRAMES
    bert = _template(bert_begin, "A", bert_end, "B", bert_end)
    roberta = _template(begin, "A", end, end, "B", end, segments=False)
    # What lowkey wrote before it knew RoBERTa, for models that read no pairs.
    former = _template(begin, "A", end, "B", end)
    frames = [
        [_template(bert_begin, "A", bert_end), bert],
        *([_template(begin, "A", end), pair] for pair in (roberta, former)),
    ]
    if [part.get("single"), part.get("pair")] not in frames:
        raise DataError(
            "its special tokens do not stand as in BERT ([CLS] A [SEP] B [SEP]) or as in RoBERTa"
            " (<s> A </s> </s> B </s>)",
            where=str(path),
        )


def _template(*parts: str, segments: bool = True) -> list[dict[str, Any]]:
    """Writes a frame as the library stores it; with segments the second text is the second."""
    pieces = []
    for i, part in enumerate(parts):
        kind = "Sequence" if part in ("A", "B") else "SpecialToken"
        pieces.append({kind: {"id": part, "type_id": int(segments and i > 2)}})
    return pieces
