"""The pairs of a training in tokens: what is learned from, and what the best step is chosen by."""

from dataclasses import dataclass

from lowkey.data.pair_tokenizer import PairTokenizer
from lowkey.data.pairs import PairExamples
from lowkey.data.rows import Rows
from lowkey.data.stored_pairs import store_pairs
from lowkey.data.subword_dropout import SubwordDropout
from lowkey.data.tokenizer import TextTokenizer
from lowkey.data.training_pairs import HeldPairs, PairDropout, StreamedPairs, TrainingPairs
from lowkey.errors import ConfigError
from lowkey.experiments.config import TranslationRecipe
from lowkey.experiments.splits import Splits


@dataclass(frozen=True)
class PairData:
    """The pairs of a training.

    Attributes:
        train: What is learned from.
        first: The training pairs or, of a stream, those of the first window.
        validation: What the best step is chosen by.
    """

    train: TrainingPairs
    first: PairExamples
    validation: PairExamples


def prepare_pairs(
    recipe: TranslationRecipe,
    splits: Splits,
    tokenizers: tuple[PairTokenizer, PairTokenizer],
    max_length: int | None,
    limit: str,
) -> PairData:
    """Brings the pairs into tokens.

    Args:
        recipe: How.
        splits: The rows.
        tokenizers: That of the sources and that of the targets.
        max_length: Most tokens of a side.
        limit: The key of the recipe that sets it, for messages.

    Returns:
        The pairs.

    Raises:
        DataError: If a text is too long and the recipe does not let it be cut.
        CannotWriteError: If they are to lie on the disk, and it is full.
        ConfigError: If subword dropout is asked of a tokenizer that is not BPE.
    """

    def encode(rows: Rows) -> PairExamples:
        cut = recipe.data.truncate
        if splits.scratch is not None:
            return store_pairs(
                rows,
                *tokenizers,
                splits.scratch,
                max_length=max_length,
                truncate=cut,
                limit=limit,
            )
        return PairExamples.from_rows(
            rows, *tokenizers, max_length=max_length, truncate=cut, limit=limit
        )

    first = encode(splits.train)
    dropout = _dropout(recipe, tokenizers, max_length)
    held = HeldPairs(first, splits.train, dropout)
    train: TrainingPairs = held
    if splits.stream is not None:
        train = StreamedPairs(splits.stream, encode, dropout, (splits.first_window, held))
    return PairData(train, first, encode(splits.validation))


def _dropout(
    recipe: TranslationRecipe,
    tokenizers: tuple[PairTokenizer, PairTokenizer],
    max_length: int | None,
) -> PairDropout | None:
    """Prepares subword dropout on the sides that have it."""
    source, target = recipe.tokenizer.source, recipe.tokenizer.target
    if recipe.tokenizer.joint:
        target = source
    found: list[SubwordDropout | None] = []
    for side, config, tokenizer in zip(
        ("source", "target"), (source, target), tokenizers, strict=True
    ):
        key = f"tokenizer.{side}.dropout"
        if not config.dropout:
            found.append(None)
        elif isinstance(tokenizer, TextTokenizer):
            found.append(SubwordDropout(tokenizer, config.dropout, key))
        else:
            raise ConfigError(
                f"{key} leaves out merges of plain BPE, and this tokenizer is of SentencePiece",
                fix="set it to 0, or train a tokenizer of kind bpe",
            )
    if not any(found):
        return None
    return PairDropout(found[0], found[1], recipe.train.seed, max_length)
