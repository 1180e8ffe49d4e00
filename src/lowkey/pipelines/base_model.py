"""The pretrained model that a bundle builds on: found where it was, or where the user says."""

from pathlib import Path

from lowkey.errors import DataError
from lowkey.hf.hub import resolve_model
from lowkey.hf.model_folder import base_identity
from lowkey.pipelines.bundle import Facts


def find_base(facts: Facts, folder: Path, base: str | None) -> Path:
    """Finds the model that a bundle builds on, and makes sure it is the one of the training.

    Args:
        facts: What the bundle says about itself.
        folder: The bundle, for messages.
        base: Where the model is; None for where it was in training.

    Returns:
        The folder of the model.

    Raises:
        MissingInputError: If it is not there.
        UnavailableError: If the Hub is needed and cannot be reached.
        DataError: If the bundle names no model, or this one holds other weights.
    """
    name = base or facts.base_model
    if name is None or facts.base_sha256 is None:
        raise DataError(f"{folder} does not say which base model it builds on")
    base_folder = resolve_model(name, key="--base" if base else f"base model of {folder}")
    found = base_identity(base_folder)["sha256"]
    if found != facts.base_sha256:
        raise DataError(
            f"{folder} was trained on other weights ({facts.base_sha256[:8]}… of"
            f" {facts.base_model}) than {name} holds ({found[:8]}…)",
            fix="give the base model of the training with --base",
        )
    return base_folder
