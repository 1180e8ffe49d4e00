"""The bundle: a folder that holds what a training added, and names the base it builds on by hash.

``lowkey.json`` says what the folder is, what it was trained on and how good it is; the weights lie
beside it in the format of their kind. A bundle travels, so it is read like any foreign file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from lowkey.config import Config
from lowkey.data.config import LongTexts
from lowkey.data.windows import Fit
from lowkey.errors import DataError, MissingInputError
from lowkey.files import read_json, write_json
from lowkey.metrics.intervals import Score
from lowkey.models.config import Pooling
from lowkey.pipelines.decoding import Decoding

FACTS_FILE = "lowkey.json"
MAX_TEMPERATURE = 100.0
Text = Annotated[str, Field(max_length=100_000)]
Probability = Annotated[float, Field(ge=0, le=1)]


class Calibration(Config):
    """What makes the probabilities of a classifier honest, and where it draws the line.

    Attributes:
        temperature: What logits are divided by.
        thresholds: The least probability with which each label holds, in the order of the logits;
            of two classes that of the second; empty where the likeliest class is chosen.
        error_before: Expected calibration error without the temperature, on the same rows.
        error_after: The same with it.
        rows: Validation rows that all of it was fitted on.
    """

    temperature: Annotated[float, Field(ge=1 / MAX_TEMPERATURE, le=MAX_TEMPERATURE)] = 1.0
    thresholds: list[Probability] = Field(default=[], max_length=100_000)
    error_before: Probability
    error_after: Probability
    rows: Annotated[int, Field(ge=1)]


class Facts(Config):
    """What a bundle says about itself.

    Attributes:
        format: Version of this file.
        kind: What the model is: it decides how the folder is read.
        task: What it was trained to do.
        method: How: "scratch", "lora", "full", "head" or "bitfit"; "published" where others trained
            it.
        pairs: Whether it reads pairs of texts.
        labels: Names of the classes, in the order of the logits.
        max_length: Most tokens the model reads.
        long_texts: What becomes of longer texts: an encoder cuts them, reads them in windows or
            refuses them.
        stride: Tokens that two windows of a text share; None: a quarter of ``max_length``.
        max_answer_length: Most tokens of an answer that is found in a text.
        null_threshold: How much likelier than the best answer no answer must be, in logits, for a
            question to have none; None: each has one.
        pooling: What the head reads of a text: "auto" for what its family has; see
            :class:`lowkey.models.heads.SequenceClassifier`.
        calibration: What was fitted on validation rows when the training was over; None if nothing.
        notes: What a user of the model must know.
        base_model: The pretrained model a part of the weights comes from; None if all are here.
        base_sha256: Hash of that model's weights file.
        decode: How sentences are decoded; None if none are.
        metrics: Scores on the test set (else validation), each with value, low, high and n.
        counts: Parameters, seconds, bytes and the like, by name.
        samples: Some test rows with what the model made of them.
        environment: What it was trained on.
    """

    format: Literal[1] = 1
    kind: Literal[
        "translation",
        "classification",
        "multilabel",
        "regression",
        "tagging",
        "answering",
        "fill-mask",
    ]
    task: Text
    method: Literal["scratch", "lora", "full", "head", "bitfit", "published"]
    pairs: bool = False
    labels: list[Text] = Field(default=[], max_length=100_000)
    max_length: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    long_texts: LongTexts = "truncate"
    stride: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    max_answer_length: Annotated[int, Field(ge=1, le=1_000)] = 30
    null_threshold: float | None = None
    pooling: Pooling = "auto"
    calibration: Calibration | None = None
    notes: list[Text] = Field(default=[], max_length=100)
    base_model: Text | None = None
    base_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    decode: Decoding | None = None
    metrics: dict[str, dict[str, int | float | str | None]] = Field(default={})
    counts: dict[str, int | float] = Field(default={})
    samples: list[dict[str, str | bool | None]] = Field(default=[])
    environment: dict[str, str | int] = Field(default={})

    @model_validator(mode="before")
    @classmethod
    def _former_names(cls, values: Any) -> Any:
        # Taggers said so before there were windows.
        if isinstance(values, dict) and isinstance(values.get("truncate"), bool):
            values = dict(values)
            cut = values.pop("truncate") or values.get("kind") != "tagging"
            values.setdefault("long_texts", "truncate" if cut else "error")
        return values

    @property
    def fit(self) -> Fit:
        """How texts are made to fit."""
        return Fit(self.max_length, self.long_texts, self.stride)

    @property
    def precision(self) -> Literal["fp32", "bf16"]:
        """What the model was trained in."""
        return "bf16" if self.environment.get("dtype") == "bfloat16" else "fp32"

    @model_validator(mode="after")
    def _labels_fit_kind(self) -> "Facts":
        named = self.kind in ("classification", "multilabel", "tagging")
        if named != (len(self.labels) > 1):
            raise ValueError(f"{self.kind} with {len(self.labels)} labels")
        thresholds = self.calibration.thresholds if self.calibration else []
        wanted = {"multilabel": len(self.labels), "classification": len(self.labels) == 2}
        if len(thresholds) not in (0, wanted.get(self.kind, 0)):
            raise ValueError(f"{len(thresholds)} thresholds for {len(self.labels)} labels")
        return self

    def write(self, folder: Path) -> None:
        """Writes ``lowkey.json``.

        Args:
            folder: The bundle.

        Raises:
            CannotWriteError: If it cannot be written.
        """
        write_json(folder / FACTS_FILE, self.model_dump(mode="json"))

    @classmethod
    def read(cls, folder: Path) -> "Facts":
        """Reads ``lowkey.json``.

        Args:
            folder: The bundle.

        Returns:
            The facts.

        Raises:
            MissingInputError: If there is no such file.
            DataError: If it is not what this version writes.
        """
        path = folder / FACTS_FILE
        if not path.is_file():
            raise MissingInputError(
                f"{folder} holds no {FACTS_FILE}", fix="give a run of lowkey, or its folder best"
            )
        try:
            return cls.model_validate(read_json(path))
        except ValidationError as error:
            raise DataError(first_problem(error), where=str(path)) from None


def first_problem(error: ValidationError) -> str:
    """Says what is wrong with a file of a bundle.

    Args:
        error: What the check of its values raised.

    Returns:
        The first problem: its key and why it is none of ours.
    """
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])[:100]
    message = problem["msg"].removeprefix("Value error, ")
    return f"{key}: {message}" if key else message


def as_metrics(scores: Mapping[str, Score]) -> dict[str, dict[str, Any]]:
    """Writes scores as facts; what is undefined (NaN) becomes null.

    Args:
        scores: Scores by name.

    Returns:
        The same as plain values.
    """
    metrics: dict[str, dict[str, Any]] = {}
    for name, score in scores.items():
        fields = {"value": score.value, "low": score.low, "high": score.high}
        plain = {key: None if value != value else value for key, value in fields.items()}
        metrics[name] = {**plain, "n": score.n}
        if score.signature:
            metrics[name]["signature"] = score.signature
    return metrics


def folder_bytes(folder: Path) -> int:
    """Measures what a folder takes on disk.

    Args:
        folder: Any folder.

    Returns:
        The sizes of its files, in bytes.
    """
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
