"""Keys of a recipe that only the fine-tuning of encoders has. Knows no torch."""

from typing import Literal

from lowkey.config import Config
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


def refuse_unbalanced(task: str, train: EncoderTraining) -> None:
    """Refuses to balance what has no classes.

    Args:
        task: The task, as it was found.
        train: The section ``train`` of the recipe.

    Raises:
        ConfigError: If weights or samples by class are asked for and cannot be had.
    """
    if task in ("regress", "mlm") and train.class_weight != "none":
        raise ConfigError(
            f"train.class_weight weighs classes, and task {task} has none",
            fix="set it to none",
        )
    if task in ("regress", "multilabel", "tag", "mlm") and train.sampling != "uniform":
        raise ConfigError(
            f"train.sampling: balanced draws rows by their one class, and task {task} has none",
            fix="set it to uniform"
            + ("" if task in ("regress", "mlm") else ", and train.class_weight: balanced"),
        )


def refuse_calibration(task: str, calibrate: bool) -> None:
    """Refuses to calibrate what gives no probabilities of whole texts.

    Args:
        task: The task, as it was found.
        calibrate: Whether the recipe asks for it.

    Raises:
        ConfigError: If it is to be calibrated and cannot.
    """
    if calibrate and task in ("regress", "tag", "mlm"):
        raise ConfigError(
            f"calibrate: true fits probabilities of classes or labels of texts, and task {task}"
            " has none",
            fix="set it to false",
        )
