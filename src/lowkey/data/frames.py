"""The special tokens that stand around a text, or around two."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lowkey.errors import DataError

FRAMES = (("[CLS]", "[SEP]", "[UNK]"), ("<s>", "</s>", "<unk>"))
"""The begin, end and unknown tokens of BERT's tokenizers; of RoBERTa's and those trained here."""

_PAIRS = (
    # BERT's, and that of models without segments.
    ("{0}0 A0 {1}0 B1 {1}1", "{0}0 A0 {1}0 B0 {1}0"),
    # RoBERTa's; MPNet's, which has no segments either; what lowkey wrote before it knew RoBERTa.
    ("{0}0 A0 {1}0 {1}0 B0 {1}0", "{0}0 A0 {1}0 {1}0 B1 {1}1", "{0}0 A0 {1}0 B1 {1}1"),
)
"""How two texts stand in files, by frame: 0 begins, 1 ends, and a segment follows each part."""


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
