"""Says in words what a type annotation expects, such as "a whole number of at least 1"."""

import collections.abc
import functools
import operator
import types
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

_PLAIN = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    type(None): "null",
}


def describe(annotation: Any) -> str:
    """Says what a value must be.

    Args:
        annotation: A type as it stands in a config: plain, optional, union, literal, list,
            mapping or config, with bounds or without.

    Returns:
        A phrase that fits behind "must be".

    Example:
        >>> from pydantic import Field
        >>> describe(Annotated[int, Field(ge=1)] | None)
        'a whole number of at least 1 or null'
    """
    phrases = dict.fromkeys(_phrase(option, bounds) for option, bounds in _options(annotation))
    return " or ".join(phrases)


def accepts(annotation: Any, value: object) -> bool:
    """Tells whether a value would do.

    Args:
        annotation: The type that is expected, or None if there is none.
        value: The value to try.

    Returns:
        Whether it passes as it stands.
    """
    try:
        TypeAdapter(annotation).validate_python(value, strict=True)
    except ValidationError:
        return False
    return annotation is not None


def inner(annotation: Any, path: Sequence[str | int]) -> Any:
    """Follows keys and positions into a type.

    Args:
        annotation: The type to begin with.
        path: Names of fields, keys of mappings and positions in lists.

    Returns:
        The type found there, or None if the path leads nowhere.
    """
    for part in path:
        steps = [_step(option, part) for option, _ in _options(annotation)]
        steps = [step for step in steps if step is not None]
        if not steps:
            return None
        annotation = functools.reduce(operator.or_, steps)
    return annotation


def choices(annotation: Any, *, groups: bool = False) -> list[Any]:
    """Lists the values, or the groups of keys, that a type names.

    Args:
        annotation: The type.
        groups: List the config classes instead of the texts of literals.

    Returns:
        Config classes, or texts.
    """
    options = [option for option, _ in _options(annotation)]
    if groups:
        return [o for o in options if isinstance(o, type) and issubclass(o, BaseModel)]
    return [v for o in options if get_origin(o) is Literal for v in get_args(o) if type(v) is str]


def _options(
    annotation: Any, bounds: tuple[Any, ...] = ()
) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Takes unions and bounds apart: one pair of plain type and bounds for each member."""
    if get_origin(annotation) is Annotated:
        plain, *own = get_args(annotation)
        for bound in own:
            bounds += tuple(bound.metadata) if isinstance(bound, FieldInfo) else (bound,)
        yield from _options(plain, bounds)
    elif get_origin(annotation) in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from _options(member, bounds)
    else:
        yield annotation, bounds


def _step(option: Any, part: str | int) -> Any:
    """Follows one key or position into a type that is no union."""
    arguments = [a for a in get_args(option) if a is not Ellipsis]
    if isinstance(option, type) and issubclass(option, BaseModel):
        field = option.model_fields.get(str(part))
        plain: Any = None if field is None else field.annotation
        return None if field is None else Annotated[plain, field]
    kind = get_origin(option) or option
    if not isinstance(kind, type) or not arguments:
        return None
    if issubclass(kind, collections.abc.Mapping):
        return arguments[1] if isinstance(part, str) else None
    if issubclass(kind, collections.abc.Iterable) and isinstance(part, int):
        return arguments[min(part, len(arguments) - 1)]
    return None


def _phrase(option: Any, bounds: tuple[Any, ...]) -> str:
    """Describes one plain type with its bounds."""
    if get_origin(option) is Literal:
        # YAML's true and false, in small letters.
        values = [str(v).lower() if isinstance(v, bool) else str(v) for v in get_args(option)]
        return values[0] if len(values) == 1 else f"one of {', '.join(values)}"
    kind = get_origin(option) or option
    if not isinstance(kind, type):
        return "something else"
    if kind in (int, float):
        return _PLAIN[kind] + _range(bounds)
    if kind in _PLAIN:
        return _PLAIN[kind] + (_length(bounds, "character") if kind is str else "")
    if issubclass(kind, Enum):
        return f"one of {', '.join(str(member.value) for member in kind)}"
    if issubclass(kind, BaseModel | collections.abc.Mapping):
        return "a group of keys"
    if issubclass(kind, collections.abc.Iterable):
        item = inner(option, [0])
        each = "" if item is None else f" (each item {describe(item)})"
        return f"a list{_length(bounds, 'item')}{each}"
    return "something else"


def _range(bounds: tuple[Any, ...]) -> str:
    """Describes the limits of a number."""
    least, above = _limit(bounds, "ge", "of at least"), _limit(bounds, "gt", "above")
    most, below = _limit(bounds, "le", "at most"), _limit(bounds, "lt", "below")
    if least and most:
        return f"{least.replace('of at least', 'from')}{most.replace('at most', 'to')}"
    if most and not above:
        return f" of{most}"
    return " and".join(limit for limit in (least, above, most, below) if limit)


def _length(bounds: tuple[Any, ...], unit: str) -> str:
    """Describes the limits of a text or list."""
    least = _limit(bounds, "min_length", "of at least", f" {unit}")
    most = _limit(bounds, "max_length", "of at most", f" {unit}s")
    return " and".join(limit for limit in (least, most) if limit)


def _limit(bounds: tuple[Any, ...], name: str, words: str, unit: str = "") -> str:
    """Words one limit, or nothing where there is none."""
    values = [value for bound in bounds if (value := getattr(bound, name, None)) is not None]
    return f" {words} {values[0]}{unit}" if values else ""
