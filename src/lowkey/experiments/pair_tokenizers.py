"""The tokenizers of a training on pairs: learned from its texts, or opened where they are."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from lowkey.data.config import TokenizerConfig
from lowkey.data.existing_tokenizer import existing_tokenizer, tokenizer_sha256
from lowkey.data.pair_tokenizer import PairTokenizer
from lowkey.data.rows import Rows
from lowkey.data.tokenizer_training import train_tokenizer
from lowkey.experiments.config import Tokenizers

_CAN_RUN_OUT = ("bpe", "wordpiece")
"""Kinds whose vocabulary ends where nothing is left to merge; words and characters are counted."""


@dataclass(frozen=True)
class _Texts:
    """The texts of some columns, one column after the other, without a list of them all."""

    columns: Sequence[Sequence[str]]

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self.columns)


def pair_tokenizers(
    config: Tokenizers, rows: Rows, say: Callable[[str], None]
) -> tuple[PairTokenizer, PairTokenizer]:
    """Makes the tokenizer of the sources and that of the targets.

    Args:
        config: What the recipe says about them.
        rows: The training pairs; a vocabulary is learned from them alone.
        say: Takes a line for the user.

    Returns:
        Both tokenizers; the same one twice if it is joint.

    Raises:
        MissingInputError: If a path leads nowhere.
        DataError: If what is there is no tokenizer that can be used.
        ConfigError: If a vocabulary cannot be as small as asked for.
    """
    sources, targets = rows.column("source"), rows.column("target")
    if config.joint:
        joint = _tokenizer(config.source, "source", [sources, targets], say)
        return joint, joint
    source = _tokenizer(config.source, "source", [sources], say)
    return source, _tokenizer(config.target, "target", [targets], say)


def tokenizer_hashes(
    config: Tokenizers, source: PairTokenizer, target: PairTokenizer
) -> dict[str, str]:
    """Tells what the tokenizers are that the recipe names by a path, for a run that is resumed.

    Args:
        config: What the recipe says about them.
        source: The tokenizer of the sources.
        target: That of the targets.

    Returns:
        Their hashes, by the key of the recipe.
    """
    sides = (("source", config.source, source), ("target", config.target, target))
    return {
        f"tokenizer.{side}.path": tokenizer_sha256(made)
        for side, given, made in sides
        if given.path
    }


def _tokenizer(
    config: TokenizerConfig,
    side: str,
    columns: Sequence[Sequence[str]],
    say: Callable[[str], None],
) -> PairTokenizer:
    """Makes one tokenizer; a vocabulary that stays small is harmless and told."""
    key = f"tokenizer.{side}"
    if config.path is not None:
        return existing_tokenizer(config.path, f"{key}.path")
    # The schema fills both in where there is no path.
    kind, vocab_size = config.kind or "bpe", config.vocab_size or 8000
    tokenizer = train_tokenizer(
        _Texts(columns), kind=kind, vocab_size=vocab_size, key=f"{key}.vocab_size"
    )
    if tokenizer.vocab_size < vocab_size and kind in _CAN_RUN_OUT:
        say(
            f"note: {key} has {tokenizer.vocab_size:,} entries, not {vocab_size:,}:"
            " the training texts hold no more"
        )
    return tokenizer
