"""The trackers a recipe can name."""

from typing import Literal

TrackerName = Literal["jsonl", "tensorboard", "wandb"]
