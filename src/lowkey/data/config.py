"""What a recipe says about the data and the tokenizers trained on it."""

import string
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from lowkey.config import Config
from lowkey.errors import did_you_mean

STANDARD_COLUMNS = (
    *("source", "target", "alternatives", "text", "text_pair", "label"),
    *("tokens", "tags"),
    *("question", "context", "answers.text", "answers.answer_start"),
)
"""Our names for the columns that can be read; ``data.columns`` maps them to a file's names."""

TokenizerKind = Literal["whitespace", "character", "bpe", "unigram", "wordpiece"]
LongTexts = Literal["truncate", "window", "error"]
"""What an encoder makes of texts longer than it reads: it loses their end, reads them in windows
that overlap, or refuses them."""


class DataConfig(Config):
    """Where the data is and how its files are to be read.

    A source is a file (.jsonl, .json, .csv, .tsv, .conll, .txt with one text a line, .parquet, or
    .gz around any of them but the last), two text files whose lines belong together, named as
    ``corpus/train.{en,de}`` with the sources first, a folder with one file per split or written by
    ``datasets``, a Hub name ``owner/name``, ``owner/name:config`` or ``owner/name:config@split``,
    ``package:NAME/FILE`` for a file inside an installed Python package, or a toy task that code
    makes: ``toy:reverse``, ``toy:copy`` or ``toy:dates``.
    """

    train: str | None = Field(default=None, description="Source of the training rows.")
    validation: str | None = Field(
        default=None, description="Source of the rows that choose the best step."
    )
    test: str | None = Field(default=None, description="Source of the rows scored once at the end.")
    columns: dict[str, str] = Field(
        default={},
        description="Our column name to the file's, such as {text: sentence}; a.b is b inside a.",
    )
    format: Literal["auto", "jsonl", "json", "csv", "tsv", "conll", "txt", "parquet"] = Field(
        default="auto", description="Format of the files; auto goes by the ending of the name."
    )
    encoding: str = Field(default="utf-8", description="Encoding of text files, such as cp1252.")
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = Field(
        default=None, description="Character between two fields; a comma in CSV, a tab in TSV."
    )
    quotes: bool = Field(
        default=True,
        description='Whether "..." encloses a field of CSV and TSV; false: a quote is text.',
    )
    empty: Literal["error", "drop"] = Field(
        default="error", description="What to do with rows in which a needed column is empty."
    )
    limit: int | None = Field(
        default=None, ge=1, description="Read at most so many rows of each source, the first ones."
    )
    train_rows: int | None = Field(
        default=None,
        ge=2,
        description="For lowkey finetune: learn from so many rows of train, drawn by chance but the"
        " same ones for every seed; fewer are a part of more.",
    )
    streaming: bool = Field(
        default=False, description="Whether train is read as it is needed, never as a whole."
    )
    window: int = Field(
        default=10_000, ge=2, description="Rows of a stream that are shuffled among each other."
    )
    memory_map: bool | Literal["auto"] = Field(
        default="auto",
        description="Whether training pairs lie on the disk, not in memory; auto: if many.",
    )
    max_length: int | None = Field(
        default=None, ge=4, description="Most tokens of one text, special tokens included."
    )
    truncate: bool = Field(
        default=False,
        description="For lowkey train: whether longer pairs are cut; else they are an error.",
    )
    long_texts: LongTexts | None = Field(
        default=None,
        description="For lowkey finetune: what becomes of longer texts; by default texts with a"
        " label are cut, sentences to tag refused, contexts of questions read in windows.",
    )
    stride: int | None = Field(
        default=None,
        ge=0,
        description="Tokens that two windows of a long text share; default: a quarter of a window.",
    )
    max_answer_length: int = Field(
        default=30, ge=1, le=1_000, description="For task: answer: most tokens of an answer."
    )
    labels: list[str | int] | None = Field(
        default=None,
        min_length=2,
        description="Names of the classes in order; default: from train.",
    )

    @field_validator("columns")
    @classmethod
    def _known_columns(cls, columns: dict[str, str]) -> dict[str, str]:
        for name in columns:
            if name not in STANDARD_COLUMNS:
                near = did_you_mean(name, STANDARD_COLUMNS)
                hint = f"did you mean {near}?" if near else f"use {', '.join(STANDARD_COLUMNS)}"
                raise ValueError(f'maps "{name}", which is no column of lowkey; {hint}')
        return columns

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        try:
            # Refuses codecs between bytes and bytes, such as zlib, as well as unknown names.
            string.printable.encode(encoding)
        except (LookupError, ValueError):
            raise ValueError(f'"{encoding}" is not the name of a text encoding') from None
        return encoding

    @field_validator("delimiter")
    @classmethod
    def _usable_delimiter(cls, delimiter: str | None) -> str | None:
        if delimiter is not None and delimiter in '"\r\n':
            raise ValueError("cannot be a quote or a line break")
        return delimiter

    @field_validator("labels")
    @classmethod
    def _distinct_labels(cls, labels: list[str | int] | None) -> list[str | int] | None:
        names = [str(label) for label in labels or []]
        twice = [name for i, name in enumerate(names) if name in names[:i]]
        if twice:
            raise ValueError(f'lists "{twice[0]}" twice')
        return labels


class MaskingConfig(Config):
    """Which tokens of raw text a model has to guess, and what it sees in their place.

    Attributes:
        mlm_probability: Share of the tokens of each text that are guessed.
        mask_replace_prob: Share of these in whose place the mask stands.
        random_replace_prob: Share in whose place a random token stands; the rest stay as they are.
    """

    mlm_probability: float = Field(default=0.15, gt=0, le=1)
    mask_replace_prob: float = Field(default=0.8, ge=0, le=1)
    random_replace_prob: float = Field(default=0.1, ge=0, le=1)

    @model_validator(mode="after")
    def _shares_of_one(self) -> "MaskingConfig":
        if self.mask_replace_prob + self.random_replace_prob > 1 + 1e-9:
            raise ValueError(
                "random_replace_prob and mask_replace_prob are more than 1 together"
                " — lower one of them"
            )
        return self


class TokenizerConfig(Config):
    """Which tokenizer a model that starts from nothing has: a new one, or one that is there.

    ``kind`` and ``vocab_size`` say how a new one is trained; with a ``path`` both are None.
    """

    path: str | None = Field(
        default=None,
        description="An existing tokenizer: tokenizer.json, its folder, or a SentencePiece model.",
    )
    kind: TokenizerKind | None = Field(
        default=None, description="What a token is: a word, a character or a piece of a word."
    )
    vocab_size: Annotated[int, Field(ge=8, le=1_000_000)] | None = Field(
        default=None, description="Most entries, special tokens included."
    )

    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="Share of BPE's merges left out in training."
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_training(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("path") is None:
            given = {name: value for name, value in values.items() if value is not None}
            return {"kind": "bpe", "vocab_size": 8000, **given}
        return values

    @model_validator(mode="after")
    def _trained_or_given(self) -> "TokenizerConfig":
        for name in ("kind", "vocab_size"):
            if self.path is not None and getattr(self, name) is not None:
                raise ValueError(
                    f"{name} says how a tokenizer is trained, but path names one that is there"
                    f" — delete {name} or path"
                )
        if self.dropout and self.kind not in (None, "bpe"):
            raise ValueError(
                f"dropout leaves out merges of bpe, but kind is {self.kind}"
                " — set kind: bpe, or dropout: 0"
            )
        return self
