"""How a bundle decodes: what its recipe said and what its model demands. Knows no torch."""

import json
from typing import Annotated, Any

from pydantic import Field, ValidationError

from lowkey.config.problems import first_problem
from lowkey.decoding.config import DecodeConfig
from lowkey.errors import ConfigError
from lowkey.files import YamlDocument

_TokenId = Annotated[int, Field(ge=0, le=10_000_000)]


class Decoding(DecodeConfig):
    """How a bundle decodes: the keys of a recipe's ``decode``, and what the model demands.

    Attributes:
        begin_id: The token an output starts from; None: the begin token of the tokenizer.
        banned_ids: Tokens that are never said, such as padding.
        end_at_limit: Whether an output is ended, not cut off, at its greatest length.
        renormalize: Whether a beam search makes what the other rules leave sum to 1 again.
    """

    num_beams: Annotated[int, Field(ge=1, le=256)] = 1
    begin_id: _TokenId | None = None
    banned_ids: list[_TokenId] = Field(default=[], max_length=100_000)
    end_at_limit: bool = False
    renormalize: bool = False

    def bounded(self, longest_ratio: float) -> "Decoding":
        """Bounds the length of outputs by what the training has shown, unless the recipe does.

        Args:
            longest_ratio: The largest ratio of target to source tokens among the training pairs.

        Returns:
            The same, with a bound.
        """
        if self.max_ratio is not None:
            return self
        return self.model_copy(update={"max_ratio": max(longest_ratio, self.min_ratio)})

    def as_recipe(self) -> DecodeConfig:
        """Says in the words of a recipe how the bundle decodes.

        Returns:
            What a recipe can say; what the model demands stays behind.
        """
        return DecodeConfig(**{key: getattr(self, key) for key in DecodeConfig.model_fields})

    def changed(self, **changes: Any) -> "Decoding":
        """Changes some keys for one prediction; one that asks for samples asks for one beam.

        Args:
            **changes: New values by key.

        Returns:
            The new settings.

        Raises:
            ConfigError: If there is no such key, or a value is wrong or does not fit the others.
        """
        if changes.get("sample"):
            changes = {"num_beams": 1, **changes}
        values = {**self.model_dump(), **changes}
        try:
            return Decoding.model_validate_json(json.dumps(values), strict=True)
        except ValidationError as error:
            worded = first_problem(error, Decoding, YamlDocument(values), "", list(changes))
            raise ConfigError(worded.what, fix=worded.fix) from None


def refuse_nbest(decoding: Decoding, nbest: int, *, split: bool) -> None:
    """Refuses more outputs for a text than the search has.

    Args:
        decoding: How sentences are decoded.
        nbest: Outputs wanted for each text.
        split: Whether long texts are split.

    Raises:
        ConfigError: If nbest is below 1, or above the number of beams where nothing is drawn at
            random, or more than one is wanted of texts that may be split.
    """
    if nbest < 1:
        raise ConfigError(f"nbest must be a whole number of at least 1, got {nbest}")
    if not decoding.sample and nbest > decoding.num_beams:
        raise ConfigError(
            f"nbest {nbest} is more than num_beams {decoding.num_beams}",
            fix=f"set num_beams to {nbest} or more, or draw samples",
        )
    if split and nbest > 1:
        raise ConfigError(
            f"nbest {nbest} cannot be had of texts that are split",
            fix="leave one of the two out: the best of each piece are joined",
        )
