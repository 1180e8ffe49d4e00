"""What ``config.json`` holds in every family of encoders."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from lowkey.hf.schema import Schema
from lowkey.models.config import EncoderConfig, EncoderFamily, Vocabulary

Position = Field(default=512, ge=1, le=1_000_000)
ProblemType = Literal["regression", "single_label_classification", "multi_label_classification"]


class EncoderConfigFile(Schema, ABC):
    """What the files of all families share.

    The bounds of ``EncoderConfig`` hold: they stop a forged file before it costs anything.
    """

    WIDTH_AND_HEADS: ClassVar[tuple[str, str]]

    model_type: EncoderFamily
    architectures: list[str] | None = None
    vocab_size: Vocabulary
    max_position_embeddings: int = Position
    pad_token_id: int | None = Field(default=0, ge=0)
    pruned_heads: dict[str, list[int]] = Field(default={}, max_length=0)
    id2label: dict[str, str] | None = None
    problem_type: ProblemType | None = None

    @field_validator("id2label")
    @classmethod
    def _ids_from_zero(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        if value is not None and set(value) != {str(i) for i in range(len(value))}:
            raise ValueError("the keys of id2label must be 0, 1, 2 and so on, without gaps")
        return value

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "EncoderConfigFile":
        width, heads = (getattr(self, key) for key in self.WIDTH_AND_HEADS)
        if width % heads:
            width_key, heads_key = self.WIDTH_AND_HEADS
            raise ValueError(f"{width_key} {width} is not divisible by {heads_key} {heads}")
        return self

    @property
    def labels(self) -> list[str] | None:
        """Names of the classes in the order of the logits, if the file says."""
        names = self.id2label
        return None if names is None else [names[str(i)] for i in range(len(names))]

    @property
    @abstractmethod
    def head_dropout(self) -> float:
        """Dropout before the classifier."""

    @property
    def span_dropout(self) -> float:
        """Dropout before the head that finds answers; most families have none."""
        return 0.0

    @property
    @abstractmethod
    def encoder(self) -> EncoderConfig:
        """The same encoder in our words."""
