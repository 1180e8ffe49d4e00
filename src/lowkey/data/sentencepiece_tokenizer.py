"""Text to token ids and back, over the ``sentencepiece`` library, as Marian's models have it.

SentencePiece finds the pieces of a text; a vocabulary beside it gives them their ids, which are
not SentencePiece's own. A piece that the vocabulary lacks is the unknown token.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import sentencepiece

from lowkey.data.flat import FlatSequences
from lowkey.data.sentencepiece_files import (
    SPECIALS,
    read_pieces,
    read_specials,
    read_vocabulary,
)
from lowkey.data.tokenizer import TokenizedTexts
from lowkey.data.tokenizer_files import SETTINGS_FILE, native_errors
from lowkey.errors import DataError, did_you_mean, shown
from lowkey.files import write_bytes, write_json

PIECES_FILE = "pieces.spm"
VOCABULARY_FILE = "vocab.json"
_LANGUAGE_CODE = re.compile(r">>[\w@-]{1,30}<<")
_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"


class SentencePieceTokenizer:
    """One side of a translation model: SentencePiece for the pieces, a vocabulary for the ids.

    The special tokens written out in a text are text like any other. No punctuation is replaced
    beforehand: Marian's own training scripts did that (with Moses), transformers does not.

    Args:
        pieces: Content of a SentencePiece model.
        vocabulary: The id of each piece, of the special tokens and of language codes.
        specials: The special tokens under the keys of ``SPECIALS``. Outputs begin with the
            padding token.
        where: The file of the pieces, for messages.

    Raises:
        DataError: If the pieces are damaged, or not those of the vocabulary, or if a special
            token is not in it.
    """

    def __init__(
        self,
        pieces: bytes,
        vocabulary: Mapping[str, int],
        specials: Mapping[str, str] = SPECIALS,
        *,
        where: str = PIECES_FILE,
    ):
        for name, token in specials.items():
            if token not in vocabulary:
                raise DataError(f"the vocabulary of {where} lacks {shown(token)}, its {name}")
        with native_errors(f"{where} is no SentencePiece model that can be used"):
            self._pieces = sentencepiece.SentencePieceProcessor()
            self._pieces.LoadFromSerializedProto(pieces)
            names = [self._pieces.id_to_piece(i) for i in range(self._pieces.get_piece_size())]
        if not vocabulary.keys() & set(names) - set(specials.values()):
            raise DataError(f"none of the {len(names)} pieces of {where} is in the vocabulary")
        self.pieces = pieces
        self.vocabulary = dict(vocabulary)
        self.specials = dict(specials)
        self.unknown_id: int | None = vocabulary[specials["unk_token"]]
        self.end_id = vocabulary[specials["eos_token"]]
        self.begin_id = vocabulary[specials["pad_token"]]
        # A vocabulary may have gaps; what counts is how many rows an embedding needs.
        self.vocab_size = max(vocabulary.values()) + 1
        self.language_codes = [token for token in vocabulary if _LANGUAGE_CODE.fullmatch(token)]
        self._names = {number: token for token, number in vocabulary.items()}
        self._unsaid = {self.unknown_id, self.end_id, self.begin_id}

    @classmethod
    def load(cls, folder: Path) -> "SentencePieceTokenizer":
        """Opens what ``save`` wrote.

        Args:
            folder: Holds ``pieces.spm``, ``vocab.json`` and ``tokenizer_config.json``.

        Returns:
            The tokenizer.

        Raises:
            MissingInputError: If a file is not there.
            DataError: If a file is damaged.
        """
        vocabulary = read_vocabulary(folder / VOCABULARY_FILE)
        specials = read_specials(folder / SETTINGS_FILE)
        path = folder / PIECES_FILE
        return cls(read_pieces(path), vocabulary, specials, where=str(path))

    def save(self, folder: Path) -> None:
        """Writes the pieces, the vocabulary and the names of the special tokens.

        Args:
            folder: An existing folder.

        Raises:
            CannotWriteError: If a file cannot be written.
        """
        write_bytes(folder / PIECES_FILE, self.pieces)
        write_json(folder / VOCABULARY_FILE, self.vocabulary)
        write_json(folder / SETTINGS_FILE, self.specials)

    def encode(self, texts: Sequence[str], *, special_tokens: bool = True) -> TokenizedTexts:
        """Turns texts into token ids.

        A language code at the very beginning of a text, as in ``>>deu<< Hello``, is one token.

        Args:
            texts: The texts.
            special_tokens: Whether the end token is put behind each; Marian's sources and targets
                have no begin token of their own.

        Returns:
            The ids of all of them.

        Raises:
            DataError: If a text cannot be written as UTF-8, or begins with a language code that
                this multilingual model does not have.
        """
        split = [self._language_code(text) for text in texts]
        with native_errors("a text cannot be tokenized"):
            found = self._pieces.encode([text for _, text in split], out_type=str)
        number, unknown = self.vocabulary.get, self.vocabulary[self.specials["unk_token"]]
        end = [self.end_id] if special_tokens else []
        ids = [
            [number(piece, unknown) for piece in [*code, *pieces]] + end
            for (code, _), pieces in zip(split, found, strict=True)
        ]
        return TokenizedTexts(FlatSequences.of(ids), None, 0)

    def _language_code(self, text: str) -> tuple[list[str], str]:
        """Takes the language code off the beginning of a text, as transformers does."""
        if not text.startswith(">>") or "<<" not in text:
            return [], text
        code, _, rest = text.partition("<<")
        code += "<<"
        known = code in self.vocabulary or not self.language_codes
        if not known and _LANGUAGE_CODE.fullmatch(code):
            nearest = did_you_mean(code, self.language_codes) or self.language_codes[0]
            fix = f"did you mean {nearest}? There are {len(self.language_codes)}"
            raise DataError(f"the model has no language {shown(code)}", fix=fix)
        return [code], rest

    def decode(self, ids: Sequence[int]) -> str:
        """Turns token ids back into text; special tokens and ids without a token are left out.

        Args:
            ids: Token ids.

        Returns:
            The text.
        """
        kept = [self._names[i] for i in ids if i in self._names and i not in self._unsaid]
        return self._pieces.decode_pieces(kept).replace(_SPACE, " ").strip()

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Names the tokens, special ones too.

        Args:
            ids: Token ids.

        Returns:
            The text of each in the vocabulary; an id that is not there becomes its number.
        """
        return [self._names.get(i, str(i)) for i in ids]
