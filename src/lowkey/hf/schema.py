"""Strict reading of other libraries' JSON: every key is known and bounded, or refused by name."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pydantic

from lowkey.errors import DataError, shown
from lowkey.files import read_json

logger = logging.getLogger(__name__)

S = TypeVar("S", bound="Schema")


class Schema(pydantic.BaseModel):
    """A foreign file's keys that matter to us, with no conversion between types and no NaN."""

    model_config = pydantic.ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False
    )


def read_object(path: Path) -> dict[str, Any]:
    """Reads a JSON file that must hold one object.

    Args:
        path: The file.

    Returns:
        The object's keys and values.

    Raises:
        DataError: If the file holds something else.
    """
    data = read_json(path)
    if not isinstance(data, dict):
        raise DataError(f"expected a JSON object, found a {type(data).__name__}", where=str(path))
    return data


def parse(
    cls: type[S], data: dict[str, Any], *, path: Path, harmless: Callable[[str, Any], bool]
) -> S:
    """Checks an object against a schema, after dropping the keys that cannot matter.

    Args:
        cls: The schema.
        data: What the file holds.
        path: The file, for messages.
        harmless: Says of a key outside the schema, and its value, that nothing depends on it.

    Returns:
        The checked values.

    Raises:
        DataError: If a key is neither known nor harmless, is missing, or has a value outside
            its type or bounds.
    """
    foreign = {key: value for key, value in data.items() if key not in cls.model_fields}
    dropped = sorted(key for key, value in foreign.items() if harmless(key, value))
    unknown = sorted(set(foreign) - set(dropped))
    if unknown:
        first = unknown[0]
        raise DataError(
            f"unknown key {shown(first)} with the value {shown(foreign[first])}",
            where=str(path),
            fix="it may change what the model computes; delete it only if you know it does not",
        )
    if dropped:
        logger.debug("%s: ignored %s", path, ", ".join(map(shown, dropped)))
    try:
        return cls.model_validate({key: data[key] for key in data if key not in foreign})
    except pydantic.ValidationError as error:
        raise DataError(_first_problem(error), where=str(path)) from None


def _first_problem(error: pydantic.ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "missing":
        return f"{key} is missing"
    if problem["type"] == "value_error":
        return problem["msg"].removeprefix("Value error, ")
    wanted = problem["msg"].replace("Input should be", "must be")
    return f"{key} {wanted}, got {shown(problem['input'])}"
