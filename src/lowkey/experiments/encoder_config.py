"""Keys of a recipe that only the fine-tuning of encoders has. Knows no torch."""

from typing import Literal

from lowkey.config import Config
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
