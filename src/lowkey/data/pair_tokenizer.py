"""What a translation model needs of a tokenizer, whichever library made it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from lowkey.data.tokenizer import TokenizedTexts
from lowkey.errors import DataError, shown


@runtime_checkable
class PairTokenizer(Protocol):
    """A tokenizer of one side of an encoder-decoder: the sources, the targets or both.

    Attributes:
        begin_id: The token that the decoder begins with.
        end_id: The token that ends a text.
        vocab_size: How many rows an embedding needs.
    """

    begin_id: int
    end_id: int
    vocab_size: int

    @property
    def unknown_id(self) -> int | None:
        """The token for what the vocabulary cannot write; None if there is none."""
        ...

    def save(self, folder: Path) -> None:
        """Writes its file.

        Args:
            folder: An existing folder.
        """
        ...

    def encode(self, texts: Sequence[str], *, special_tokens: bool = True) -> TokenizedTexts:
        """Turns texts into token ids.

        Args:
            texts: The texts.
            special_tokens: Whether a begin token and an end token are put around each.

        Returns:
            The ids of all of them.
        """
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Turns token ids back into text; special tokens are left out.

        Args:
            ids: Token ids.

        Returns:
            The text.
        """
        ...

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Names the tokens, special ones too.

        Args:
            ids: Token ids.

        Returns:
            The text of each; an id that is not in the vocabulary becomes its number.
        """
        ...


def refuse_other_size(
    tokenizer: PairTokenizer, rows: int, place: str, *, spare: bool = False
) -> None:
    """Refuses a tokenizer that does not fit the embedding of a model.

    Args:
        tokenizer: The tokenizer.
        rows: Rows of the embedding.
        place: Where both are, for messages.
        spare: Whether the embedding may have rows that no token uses.

    Raises:
        DataError: Unless there is a row for each token and, without ``spare``, the reverse.
    """
    if tokenizer.vocab_size == rows or (spare and tokenizer.vocab_size < rows):
        return
    first = ""
    if tokenizer.vocab_size > rows:
        first = f" (first without a row: {shown(tokenizer.tokens([rows])[0])})"
    raise DataError(
        f"tokenizer has {tokenizer.vocab_size} tokens, the embedding {rows} rows{first}",
        where=place,
        fix="use the tokenizer saved with the model",
    )
