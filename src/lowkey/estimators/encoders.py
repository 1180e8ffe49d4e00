"""What the estimators on pretrained encoders share: their parameters, and a fine-tuning."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from lowkey.config import make_recipe
from lowkey.errors import DataError
from lowkey.estimators.estimator import ESTIMATOR_FILE, Estimator
from lowkey.experiments.config import FinetuneRecipe
from lowkey.experiments.finetune import finetune
from lowkey.pipelines.bundle import Facts
from lowkey.training.progress import Progress


class EncoderEstimator(Estimator):
    """A pretrained encoder that ``fit`` adapts to a task.

    Args:
        model: The encoder: a Hugging Face folder, a Hub name, or ``package:NAME/FOLDER``.
        method: "lora", "full", "head" or "bitfit".
        r: Rank of the updates, for the method lora.
        lora_alpha: The updates are scaled by ``lora_alpha / r``.
        target_modules: A preset (all-linear, attention, feed-forward, qv) or names of linear maps.
        learning_rate: At its peak; None takes the default of the method.
        num_train_epochs: Passes over the rows.
        per_device_train_batch_size: Texts in a batch.
        max_length: Most tokens of a text; None takes what the encoder reads.
        seed: Where all randomness comes from.
        device: "auto", "cpu", "cuda" ...
        settings: Any other keys of a recipe, such as ``{"train.weight_decay": 0.01}``.
        out: Folder of the run, with its report; None keeps the model in memory alone.
        verbose: Whether the training is shown.
    """

    def __init__(
        self,
        model: str,
        *,
        method: str = "lora",
        r: int = 8,
        lora_alpha: int | float = 16,
        target_modules: str | Sequence[str] = "all-linear",
        learning_rate: float | None = None,
        num_train_epochs: int = 3,
        per_device_train_batch_size: int = 32,
        max_length: int | None = None,
        seed: int = 42,
        device: str = "auto",
        settings: Mapping[str, Any] | None = None,
        out: str | Path | None = None,
        verbose: bool = False,
    ):
        self.model = model
        self.method = method
        self.r = r
        self.lora_alpha = lora_alpha
        self.target_modules = target_modules
        self.learning_rate = learning_rate
        self.num_train_epochs = num_train_epochs
        self.per_device_train_batch_size = per_device_train_batch_size
        self.max_length = max_length
        self.seed = seed
        self.device = device
        self.settings = settings
        self.out = out
        self.verbose = verbose

    @classmethod
    def _parameters_of(cls, pipeline: Any) -> dict[str, Any]:
        facts, config = pipeline.facts, pipeline.lora_config
        found = {"method": facts.method, "max_length": facts.max_length}
        if config is not None:
            found |= {"r": config.r, "lora_alpha": config.lora_alpha}
            found["target_modules"] = config.target_modules
        return {"model": facts.base_model or "", **found}

    def _values(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "model.path": self.model,
            "lora.r": self.r,
            "lora.lora_alpha": self.lora_alpha,
            "lora.target_modules": self.target_modules,
            "data.max_length": self.max_length,
            "train.learning_rate": self.learning_rate,
            "train.num_train_epochs": self.num_train_epochs,
            "train.per_device_train_batch_size": self.per_device_train_batch_size,
            "train.seed": self.seed,
            "train.device": self.device,
            "track": ["jsonl"],
        }

    def _train(self, values: Mapping[str, Any], run: Path, progress: Progress) -> None:
        recipe = make_recipe(FinetuneRecipe, values, where=type(self).__name__)
        finetune(recipe, run, progress=progress)


def classes_of(facts: Facts, saved: Sequence[Any] | None) -> Shaped[np.ndarray, " classes"]:
    """Finds the classes of a model that is opened.

    Args:
        facts: What its bundle says.
        saved: The classes that its estimator was given; None if no estimator has made it.

    Returns:
        The classes, in the order of the outputs.

    Raises:
        DataError: If there are not as many as the model has labels.
    """
    if saved is not None and len(saved) != len(facts.labels):
        what = f"{len(saved)} classes for {len(facts.labels)} labels"
        raise DataError(what, where=ESTIMATOR_FILE)
    return np.array(facts.labels if saved is None else saved)
