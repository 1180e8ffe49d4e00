"""The files of a bundle that hold a Transformer: its sizes and its weights."""

import math
from pathlib import Path

import torch
from pydantic import ValidationError

from lowkey.errors import DataError
from lowkey.files import read_json, read_tensors, tensor_infos
from lowkey.models.config import TransformerConfig
from lowkey.models.transformer import Transformer
from lowkey.pipelines.bundle import FACTS_FILE, Decoding, Facts, first_problem

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def refuse_misfit(config: TransformerConfig, facts: Facts, folder: Path) -> None:
    """Refuses facts that ask for more than the model has.

    Args:
        config: Sizes of the model.
        facts: How it is used.
        folder: The bundle, for messages.

    Raises:
        DataError: If they let in, or out, more tokens than learned positions can number, or name
            tokens that are not there.
    """
    decoding = facts.decode or Decoding()
    longest = max(facts.max_length or math.inf, decoding.max_length)
    if config.positions == "learned" and longest > config.max_positions:
        what = f"texts may have {longest} tokens, but the model numbers {config.max_positions}"
        raise DataError(what, where=str(folder / FACTS_FILE))
    last = max([decoding.begin_id or 0, *decoding.banned_ids])
    if last >= config.target_vocab_size:
        what = f"decode names token {last}, but there are {config.target_vocab_size}"
        raise DataError(what, where=str(folder / FACTS_FILE))


def load_model(folder: Path) -> Transformer:
    """Opens the model; sizes are checked against the weights before anything is allocated.

    Args:
        folder: The bundle.

    Returns:
        The model, its weights loaded.

    Raises:
        MissingInputError: If a file is not there.
        DataError: If a file is damaged, or the two do not fit each other.
    """
    path = folder / WEIGHTS
    try:
        config = TransformerConfig.model_validate(read_json(folder / CONFIG))
    except ValidationError as error:
        raise DataError(first_problem(error), where=str(folder / CONFIG)) from None
    with torch.device("meta"):
        expected = {n: tuple(p.shape) for n, p in Transformer(config).named_parameters()}
    found = {name: info.shape for name, info in tensor_infos(path).items()}
    if found != expected:
        odd = sorted(n for n in expected.keys() | found.keys() if expected.get(n) != found.get(n))
        raise DataError(
            f"{path} does not fit {CONFIG}: {odd[0]} is {found.get(odd[0], 'missing')},"
            f" expected {expected.get(odd[0], 'nothing')}",
            fix="the two files are of different models",
        )
    model = Transformer(config)
    model.load_state_dict(read_tensors(path), strict=False)
    return model
