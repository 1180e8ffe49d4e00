"""Keys of a recipe that only the fine-tuning of encoders has. Knows no torch."""

from typing import Literal

from lowkey.config import Config
from lowkey.data.config import DataConfig
from lowkey.errors import ConfigError
from lowkey.models.config import Pooling
from lowkey.training.config import TrainConfig


class BaseModel(Config):
    """The pretrained encoder.

    Attributes:
        path: A Hugging Face model folder, a Hub name, or ``package:NAME/FOLDER`` for a folder
            inside an installed Python package.
        pooling: What the head reads of a text: "auto" what the encoder's family has, "first" its
            first token, "mean" or "max" of all tokens.
    """

    path: str
    pooling: Pooling = "auto"


class EncoderTraining(TrainConfig):
    """How an encoder is fine-tuned.

    Attributes:
        class_weight: "balanced" lets all classes weigh the same in the loss, however rare.
        sampling: "balanced" draws as many rows of each class in every epoch.
    """

    class_weight: Literal["none", "balanced"] = "none"
    sampling: Literal["uniform", "balanced"] = "uniform"


def refuse_impossible(task: str, data: DataConfig, model: BaseModel) -> None:
    """Refuses what the task of a recipe does not allow, before any row is read.

    Args:
        task: What the recipe asks for.
        data: The section ``data`` of the recipe.
        model: The section ``model``.

    Raises:
        ValueError: If long texts are to be treated in a way that loses what is to be learned, or
            one vector of a text is asked for where each token has its own.
    """
    if data.truncate:
        raise ValueError(
            "data.truncate is for lowkey train; lowkey finetune has data.long_texts"
            " — set data.long_texts: truncate"
        )
    if task == "tag" and data.long_texts == "window":
        raise ValueError(
            "data.long_texts is window, but sentences to tag are read whole"
            " — set it to error or truncate"
        )
    if task == "answer" and data.long_texts == "truncate":
        raise ValueError(
            "data.long_texts is truncate, but an answer may stand in what is cut off"
            " — set it to window or error"
        )
    if task == "mlm" and data.long_texts not in (None, "window"):
        raise ValueError(
            f"data.long_texts is {data.long_texts}, but task mlm reads all of a text, a long one in"
            " pieces — leave it out"
        )
    if model.pooling != "auto" and task in ("tag", "answer", "mlm"):
        raise ValueError(
            f"model.pooling {model.pooling} makes one vector of a text, and task {task} needs"
            " one for each word — leave it at auto"
        )


def refuse_unbalanced(task: str, train: EncoderTraining) -> None:
    """Refuses to balance what has no classes, or to balance it twice.

    Args:
        task: The task, as it was found.
        train: The section ``train`` of the recipe.

    Raises:
        ConfigError: If weights or samples by class are asked for and cannot be had.
    """
    if train.class_weight == train.sampling == "balanced":
        raise ConfigError(
            "train.class_weight and train.sampling are both balanced, and rare classes would weigh"
            " twice as much as is fair and more",
            fix="set one of them back",
        )
    if task in ("regress", "answer", "mlm") and train.class_weight != "none":
        raise ConfigError(
            f"train.class_weight weighs classes, and task {task} has none",
            fix="set it to none",
        )
    if task in ("regress", "multilabel", "tag", "answer", "mlm") and train.sampling != "uniform":
        raise ConfigError(
            f"train.sampling: balanced draws rows by their one class, and task {task} has none",
            fix="set it to uniform"
            + (
                "" if task in ("regress", "answer", "mlm") else ", and train.class_weight: balanced"
            ),
        )


def refuse_calibration(task: str, calibrate: bool) -> None:
    """Refuses to calibrate what gives no probabilities of whole texts.

    Args:
        task: The task, as it was found.
        calibrate: Whether the recipe asks for it.

    Raises:
        ConfigError: If it is to be calibrated and cannot.
    """
    if calibrate and task in ("regress", "tag", "answer", "mlm"):
        raise ConfigError(
            f"calibrate: true fits probabilities of classes or labels of texts, and task {task}"
            " has none",
            fix="set it to false",
        )
