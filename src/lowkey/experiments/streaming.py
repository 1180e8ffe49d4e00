"""What a recipe must say when its training rows are streamed. Knows no torch."""

from lowkey.data.config import DataConfig
from lowkey.training.config import TrainConfig


def refuse_endless(data: DataConfig, train: TrainConfig) -> None:
    """Refuses a recipe that streams its data and needs to know all of it, now or midway.

    Args:
        data: The section of the recipe.
        train: The section that says how long to train.

    Raises:
        ValueError: If a key is missing, or would stop the run at a row read late.
    """
    if data.memory_map is True:
        raise ValueError(
            "data.streaming holds one window of pairs in memory and data.memory_map keeps all of"
            " them on the disk — set one of them to false"
        )
    if train.max_steps is None:
        raise ValueError(
            "data.streaming has no known end, so num_train_epochs cannot be counted"
            " — set train.max_steps"
        )
    if data.validation is None:
        raise ValueError(
            "data.streaming is true, and nothing can be held out of a stream — set data.validation"
        )
    if data.empty == "error" or not data.truncate:
        raise ValueError(
            "data.streaming would stop the run when a text that is empty or too long comes by"
            " — set data.empty: drop and data.truncate: true, with data.max_length"
        )
