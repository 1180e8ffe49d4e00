"""Text to token ids and back, over the ``tokenizers`` library."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tokenizers
from jaxtyping import UInt8
from tokenizers.processors import TemplateProcessing

from lowkey.data.flat import FlatSequences
from lowkey.data.frames import FRAMES, Frame, pair_frame
from lowkey.data.tokenizer_files import TOKENIZER_FILE, native_errors, open_tokenizer
from lowkey.errors import DataError
from lowkey.files import write_json, write_text

_PADDING = ("[PAD]", "<pad>")

_TEXTS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class TokenizedTexts:
    """The token ids of many texts, or of many pairs of texts.

    Attributes:
        tokens: The ids, special tokens included where they were asked for.
        segment_ids: For pairs, the segment of each token: 1 for the second text and its end, if
            the tokenizer tells the two texts apart so (BERT's does, RoBERTa's does not), else 0.
        num_truncated: How many texts or pairs were cut.
    """

    tokens: FlatSequences
    segment_ids: UInt8[np.ndarray, " tokens"] | None
    num_truncated: int


class TextTokenizer:
    """A tokenizer that knows its special tokens and neither pads nor cuts unless told to.

    Args:
        tokenizer: The library's tokenizer; it must hold ``[CLS]`` and ``[SEP]``, or ``<s>`` and
            ``</s>``, to begin and end texts with.

    Raises:
        DataError: If it holds neither pair, or gives two of its special tokens one id.
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer):
        vocabulary = tokenizer.get_vocab()
        known = [frame for frame in FRAMES if vocabulary.keys() >= set(frame[:2])]
        if not known:
            raise DataError("the tokenizer has neither [CLS] and [SEP] nor <s> and </s>")
        segments = True
        if tokenizer.post_processor is not None:
            with native_errors("the tokenizer cannot be used"):
                framed = tokenizer.encode("", "")
            # MPNet's vocabulary has both pairs; what it puts in front of a text tells them apart.
            known.sort(key=lambda frame: frame[0] not in framed.tokens[:1])
            segments = any(framed.type_ids)
        begin, end, unknown = known[0]
        self.begin_id = vocabulary[begin]
        self.end_id = vocabulary[end]
        # ALBERT's texts begin as BERT's and its unknown token is RoBERTa's, MPNet has it otherwise.
        names = (unknown, *(frame[2] for frame in FRAMES))
        self.unknown_id = next((vocabulary[name] for name in names if name in vocabulary), None)
        if len({self.begin_id, self.end_id, self.unknown_id}) < 3:
            ids = f"{begin} {self.begin_id}, {end} {self.end_id}, {unknown} {self.unknown_id}"
            raise DataError(f"two special tokens of the tokenizer have the same id ({ids})")
        # A vocabulary may have gaps; what counts is how many rows an embedding needs.
        self.vocab_size = max(vocabulary.values()) + 1
        self._tokenizer = tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._tokenizer.post_processor = TemplateProcessing(
            single=f"{begin} $A {end}",
            pair=pair_frame(begin, end, segments=segments),
            special_tokens=[(begin, self.begin_id), (end, self.end_id)],
        )
        self.frame = Frame(
            self.begin_id,
            self.end_id,
            ends_between=tokenizer.num_special_tokens_to_add(True) - 2,
            segments=any(tokenizer.encode("", "").type_ids),
        )

    @classmethod
    def load(cls, path: Path) -> "TextTokenizer":
        """Opens the tokenizer of a model folder: ours, or one of the BERT family.

        Args:
            path: Holds ``tokenizer.json``, or ``vocab.txt`` of BERT; or one of these files.

        Returns:
            The tokenizer.

        Raises:
            MissingInputError: If the folder holds neither file.
            DataError: If a file is damaged, or the tokenizer is of a kind not known here.
        """
        tokenizer = open_tokenizer(path)
        try:
            return cls(tokenizer)
        except DataError as error:
            raise DataError(error.what, where=str(path)) from None

    @property
    def library(self) -> tokenizers.Tokenizer:
        """The tokenizer of the library, for what is not told here."""
        return self._tokenizer

    def save(self, folder: Path, *, begins: bool = True) -> None:
        """Writes ``tokenizer.json``.

        Args:
            folder: An existing folder.
            begins: Whether other libraries are to put the begin token in front of a text too;
                sources of an encoder-decoder have an end token alone.

        Raises:
            CannotWriteError: If it cannot be written.
        """
        document = self._tokenizer.to_str(pretty=True)
        if not begins:
            copy = tokenizers.Tokenizer.from_str(document)
            end = self._tokenizer.id_to_token(self.end_id)
            copy.post_processor = TemplateProcessing(
                single=f"$A {end}", special_tokens=[(end, self.end_id)]
            )
            document = copy.to_str(pretty=True)
        write_text(folder / TOKENIZER_FILE, document)

    def save_settings(self, folder: Path) -> None:
        """Writes ``tokenizer_config.json``, so that transformers reads the tokenizer as it is.

        Args:
            folder: An existing folder.

        Raises:
            CannotWriteError: If it cannot be written.
        """
        # Left to itself, transformers takes the tokenizer of a BERT for one that lower-cases.
        settings = {"tokenizer_class": "PreTrainedTokenizerFast"}
        tokens = self.tokens(range(self.vocab_size))
        for padding in _PADDING:
            if padding in tokens:
                settings["pad_token"] = padding
        write_json(folder / "tokenizer_config.json", settings)

    def encode(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        *,
        max_length: int | None = None,
        special_tokens: bool = True,
    ) -> TokenizedTexts:
        """Turns texts into token ids.

        Args:
            texts: The texts.
            pairs: A second text for each, if they come in pairs.
            max_length: Most tokens of a text or pair, special tokens included; what is longer is
                cut at its end, a pair token by token at the end of its longer text.
            special_tokens: Whether a begin token and end tokens are put around the texts.

        Returns:
            The ids of all of them.

        Raises:
            DataError: If a text cannot be written as UTF-8.
        """
        items = list(texts) if pairs is None else list(zip(texts, pairs, strict=True))
        ids: list[FlatSequences] = []
        segments: list[FlatSequences] = []
        num_truncated = 0
        with native_errors("a text cannot be tokenized"):
            try:
                if max_length is not None:
                    self._tokenizer.enable_truncation(max_length, strategy="longest_first")
                # In portions: what the library keeps of each text is far larger than its ids.
                for start in range(0, len(items), _TEXTS_AT_ONCE):
                    portion = self._tokenizer.encode_batch_fast(
                        items[start : start + _TEXTS_AT_ONCE], add_special_tokens=special_tokens
                    )
                    ids.append(FlatSequences.of([encoding.ids for encoding in portion]))
                    if pairs is not None:
                        kinds = [encoding.type_ids for encoding in portion]
                        segments.append(FlatSequences.of(kinds))
                    num_truncated += sum(bool(encoding.overflowing) for encoding in portion)
            finally:
                self._tokenizer.no_truncation()
        segment_ids = None
        if pairs is not None:
            segment_ids = FlatSequences.join(segments).values.astype(np.uint8)
        return TokenizedTexts(FlatSequences.join(ids), segment_ids, num_truncated)

    def decode(self, ids: Sequence[int]) -> str:
        """Turns token ids back into text; special tokens, unknown ones too, are left out.

        Args:
            ids: Token ids.

        Returns:
            The text; tokens that are words are joined by spaces.
        """
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Names the tokens, special ones too.

        Args:
            ids: Token ids.

        Returns:
            The text of each in the vocabulary; an id that is not there becomes its number.
        """
        return [self._tokenizer.id_to_token(i) or str(i) for i in ids]
