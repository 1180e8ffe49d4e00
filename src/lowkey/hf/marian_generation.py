"""``generation_config.json``: how a published translation model wants to be decoded."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from lowkey.errors import DataError
from lowkey.hf.model_folder import CONFIG
from lowkey.hf.schema import Schema, parse, read_object

GENERATION = "generation_config.json"

_TokenId = Annotated[int, Field(ge=0, le=10_000_000)]
_Word = Annotated[list[_TokenId], Field(min_length=1, max_length=1)]


class GenerationFile(Schema):
    """The keys that decide which outputs a search finds; lengths count the start token too.

    A key that is absent, or null, has the value that transformers gives it; ``max_length`` is
    then as long as the model's positions go, where transformers would stop after 20 tokens.
    """

    num_beams: Annotated[int, Field(ge=1, le=256)] = 1
    length_penalty: Annotated[float, Field(ge=0, le=10)] = 1.0
    early_stopping: bool | Literal["never"] = False
    max_length: Annotated[int, Field(ge=2, le=100_000)] | None = None
    max_new_tokens: Annotated[int, Field(ge=1, le=100_000)] | None = None
    min_length: Annotated[int, Field(ge=0, le=100_000)] = 0
    repetition_penalty: Annotated[float, Field(gt=0, le=100)] = 1.0
    no_repeat_ngram_size: Annotated[int, Field(ge=0, le=1000)] = 0
    bad_words_ids: list[_Word] = Field(default=[], max_length=100_000)
    suppress_tokens: list[_TokenId] = Field(default=[], max_length=100_000)
    forced_eos_token_id: _TokenId | _Word | None = None
    renormalize_logits: bool = False
    do_sample: Literal[False] = False
    num_beam_groups: Literal[1] = 1

    @property
    def banned_ids(self) -> list[int]:
        """Tokens that are never said, such as padding."""
        return sorted({*self.suppress_tokens, *(word[0] for word in self.bad_words_ids)})

    def longest(self, positions: int) -> int:
        """Counts the tokens that an output may have.

        Args:
            positions: Positions that the model has been made for.

        Returns:
            Most tokens of an output, the end token included and the start token not.
        """
        if self.max_new_tokens is not None:
            return min(self.max_new_tokens, positions)
        return min(self.max_length - 1, positions) if self.max_length else positions


GENERATION_KEYS = frozenset(GenerationFile.model_fields) | {
    # Of samples, which a search does not draw.
    "temperature",
    "top_k",
    "top_p",
    "typical_p",
    # Of groups of beams, of which there is one.
    "diversity_penalty",
    # How many outputs are handed back, and with what beside them.
    "num_return_sequences",
    "output_logits",
    "output_scores",
    "return_dict_in_generate",
}
"""Keys of the search, which older folders keep in ``config.json``."""

_HARMLESS = GENERATION_KEYS | {
    # Said again, and decided, by config.json.
    "bos_token_id",
    "decoder_start_token_id",
    "eos_token_id",
    "pad_token_id",
    # How it is computed and where the file comes from.
    "_commit_hash",
    "_from_model_config",
    "output_attentions",
    "output_hidden_states",
    "transformers_version",
    "use_cache",
}


def read_generation(folder: Path) -> GenerationFile:
    """Reads how a model wants to be decoded, as transformers does.

    Args:
        folder: A model folder.

    Returns:
        What ``generation_config.json`` says, or ``config.json`` where there is no such file.

    Raises:
        DataError: If a key would change the outputs in a way that lowkey does not have, or has a
            value out of bounds.
    """
    path = folder / GENERATION
    if path.is_file():
        data = read_object(path)
    else:
        path = folder / CONFIG
        data = {k: v for k, v in read_object(path).items() if k in GENERATION_KEYS}
    given = {key: value for key, value in data.items() if value is not None}
    found = parse(GenerationFile, given, path=path, harmless=_changes_nothing)
    forced, end = found.forced_eos_token_id, read_object(folder / CONFIG).get("eos_token_id")
    if forced is not None and _number(forced) != _number(end):
        raise DataError(
            f"forced_eos_token_id {forced} is another token than eos_token_id {end}",
            where=str(path),
        )
    return found


def _changes_nothing(key: str, value: Any) -> bool:
    return key in _HARMLESS or value is False or value in ([], {}, 0, 0.0)


def _number(token: Any) -> Any:
    return token[0] if isinstance(token, list) and len(token) == 1 else token


def generation_json(
    found: GenerationFile, *, begin_id: int, end_id: int, pad_id: int
) -> dict[str, Any]:
    """Describes a way of decoding in transformers' words.

    Args:
        found: The way.
        begin_id: The token that an output starts from.
        end_id: The token that ends a sentence.
        pad_id: Id that other libraries pad with.

    Returns:
        What belongs into ``generation_config.json``.
    """
    values = found.model_dump(exclude_defaults=True)
    ids = {"decoder_start_token_id": begin_id, "eos_token_id": end_id, "pad_token_id": pad_id}
    return {"num_beams": found.num_beams, **values, **ids}
