"""Pairs in tokens that lie on the disk: tokenized in portions, equal to those made in memory."""

import numpy as np

from lowkey.data.flat import FlatSequences
from lowkey.data.pair_lengths import refuse_long
from lowkey.data.pair_tokenizer import PairTokenizer
from lowkey.data.pairs import PairExamples
from lowkey.data.rows import Rows
from lowkey.data.stored import SequenceStore
from lowkey.files import Scratch

PORTION = 10_000
"""Pairs that are in memory at a time."""


def store_pairs(
    rows: Rows,
    source_tokenizer: PairTokenizer,
    target_tokenizer: PairTokenizer,
    scratch: Scratch,
    *,
    max_length: int | None = None,
    truncate: bool = False,
    limit: str = "data.max_length",
) -> PairExamples:
    """Tokenizes rows as ``PairExamples.from_rows`` does, with the tokens on the disk.

    Args:
        rows: The rows.
        source_tokenizer: Tokenizer of the sources.
        target_tokenizer: Tokenizer of the targets; it may be the same.
        scratch: Where the tokens are laid.
        max_length: Most tokens of a source or a target, counted with its end token.
        truncate: Whether longer ones are cut; otherwise they are an error.
        limit: The key of the recipe that sets the greatest length, for messages.

    Returns:
        The pairs, in the order of the rows.

    Raises:
        DataError: If a source or target is too long and ``truncate`` is False.
        CannotWriteError: If the disk is full or cannot be written to.
    """
    stores = [SequenceStore(scratch, np.int32) for _ in range(3)]
    uncut: list[tuple[np.ndarray, np.ndarray]] = []
    num_truncated = 0
    for start in range(0, len(rows), PORTION):
        sides = (rows.column(name)[start : start + PORTION] for name in ("source", "target"))
        sources, targets = (
            tokenizer.encode(texts, special_tokens=False).tokens
            for tokenizer, texts in zip((source_tokenizer, target_tokenizer), sides, strict=True)
        )
        if max_length is not None and not truncate:
            uncut.append((sources.lengths, targets.lengths))
        part = PairExamples.from_tokens(
            sources, targets, source_tokenizer, target_tokenizer, max_length=max_length
        )
        num_truncated += part.num_truncated
        parts = (part.sources, part.target_inputs, part.target_labels)
        for store, sequences in zip(stores, parts, strict=True):
            store.append(sequences)
    if num_truncated and max_length is not None and not truncate:
        # Only now: the message tells what length would do for all of them.
        source_lengths, target_lengths = (np.concatenate(side) for side in zip(*uncut, strict=True))
        refuse_long(rows, source_lengths, target_lengths, max_length, limit)
    stored: list[FlatSequences] = [store.stored() for store in stores]
    return PairExamples(*stored, num_truncated=num_truncated)
