"""Words what pydantic found wrong with a recipe the way a person would: line, key, what is due."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ValidationError

from lowkey.config.expectations import accepts, choices, describe, inner
from lowkey.errors import ConfigError, did_you_mean, shown
from lowkey.files import KeyPath, YamlDocument


def first_problem(
    error: ValidationError,
    cls: type[BaseModel],
    document: YamlDocument,
    file: str,
    set_by: Sequence[str],
) -> ConfigError:
    """Picks the problem to tell first and words it.

    Args:
        error: What pydantic found.
        cls: What the recipe is to hold.
        document: The recipe as it was read, overrides included.
        file: Name of the recipe's file, for messages.
        set_by: The keys that the command line set, as ``a.b``.

    Returns:
        The error of an override if there is one, else that of the first wrong line of the
        file, else that a key is missing.
    """
    return min(
        (_Problem(found, cls, document, file, set_by) for found in error.errors()),
        key=lambda problem: (problem.kind == "missing", problem.line),
    ).worded()


class _Problem:
    """One finding of pydantic, placed in the recipe."""

    def __init__(
        self,
        found: Any,
        cls: type[BaseModel],
        document: YamlDocument,
        file: str,
        set_by: Sequence[str],
    ):
        self.kind: str = found["type"]
        self.message: str = str(found.get("ctx", {}).get("error", found["msg"]))
        self.cls = cls
        self.document = document
        self.path = _real_path(found["loc"], document.data, self.kind)
        if self.kind in ("value_error", "assertion_error"):
            self._point_at_field()
        self.line, self.where = _place(self.path, document, file, set_by)

    def worded(self) -> ConfigError:
        name = dotted(self.path)
        if self.kind == "extra_forbidden":
            return ConfigError(f"unknown key {name}", where=self.where, fix=self._nearest_key())
        if self.kind == "missing":
            fix = f"add it, or use --set {name}=..."
            return ConfigError(f"{name} is missing", where=self.where, fix=fix)
        if self.kind in ("value_error", "assertion_error"):
            what, _, fix = self.message.partition(" — ")
            return ConfigError(f"{name} {what}".strip(), where=self.where, fix=fix or None)
        return self._wrong_value(name)

    def _wrong_value(self, name: str) -> ConfigError:
        due = inner(self.cls, self.path)
        value = _value_at(self.document.data, self.path)
        written = self.document.texts.get(self.path)
        what = f"{name} must be {describe(due)}, got {shown(value)}"
        fix = None
        if written and not isinstance(value, str) and accepts(due, written):
            fix = f'write "{written}" in quotes'
            if isinstance(value, bool):
                what = f"{name} is {value}; YAML reads a bare no/yes/on/off as true/false"
        elif isinstance(value, str):
            nearest = did_you_mean(value, choices(due))
            if nearest is not None:
                fix = f"did you mean {nearest}?"
            elif any(accepts(due, number) for number in _numbers(value)):
                fix = f"write {value} without quotes"
        elif isinstance(value, float) and value.is_integer() and accepts(due, int(value)):
            fix = f"write {int(value)}"
        return ConfigError(what, where=self.where, fix=fix)

    def _nearest_key(self) -> str | None:
        """Finds the key that an unknown one stands for: in its own group, else elsewhere."""
        name = str(self.path[-1])
        siblings = list(_fields(inner(self.cls, self.path[:-1])))
        nearest = did_you_mean(name, siblings)
        if nearest is None:
            elsewhere = [path for path in _all_keys(self.cls) if path.split(".")[-1] == name]
            nearest = elsewhere[0] if len(elsewhere) == 1 else None
        if nearest is not None:
            return f"did you mean {nearest}?"
        return f"the keys here are {', '.join(siblings)}" if len(siblings) <= 12 else None

    def _point_at_field(self) -> None:
        """Moves the place to the field that a validator's message begins with."""
        word, _, rest = self.message.partition(" ")
        keys = tuple(word.split("."))
        if self.path[-len(keys) :] == keys:
            self.message = rest
        elif inner(self.cls, (*self.path, *keys)) is not None:
            self.path, self.message = (*self.path, *keys), rest


def dotted(path: KeyPath) -> str:
    """Writes a path of keys as people do.

    Args:
        path: Keys and positions in lists.

    Returns:
        The keys joined by dots, positions in brackets.

    Example:
        >>> dotted(("data", "labels", 2))
        'data.labels[2]'
    """
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _real_path(loc: Sequence[str | int], data: Any, kind: str) -> KeyPath:
    """Keeps the parts of pydantic's location that are in the recipe; it also names types."""
    path: list[str | int] = []
    for position, part in enumerate(loc):
        is_last = position == len(loc) - 1
        match data:
            case dict() if part in data:
                data = data[part]
            case list() if isinstance(part, int) and part < len(data):
                data = data[part]
            case _ if not (kind == "missing" and is_last):
                continue
        path.append(part)
    return tuple(path)


def _place(
    path: KeyPath, document: YamlDocument, file: str, set_by: Sequence[str]
) -> tuple[int, str]:
    """Finds the line of a key, or the option that set it (which counts as line 0)."""
    for end in range(len(path), 0, -1):
        if dotted(path[:end]) in set_by:
            return 0, f"--set {dotted(path[:end])}"
    for end in range(len(path), 0, -1):
        if path[:end] in document.lines:
            return document.lines[path[:end]], f"{file}:{document.lines[path[:end]]}"
    return 1, file


def _value_at(data: Any, path: KeyPath) -> Any:
    for part in path:
        data = data[part]
    return data


def _fields(annotation: Any) -> Iterator[str]:
    """Lists the keys that a group may have."""
    for option in choices(annotation, groups=True):
        yield from option.model_fields


def _all_keys(cls: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Lists every key of a recipe as ``a.b``."""
    for name, field in cls.model_fields.items():
        yield f"{prefix}{name}"
        for group in choices(field.annotation, groups=True):
            yield from _all_keys(group, f"{prefix}{name}.")


def _numbers(text: str) -> Iterator[int | float]:
    """Reads a text as the numbers it may stand for."""
    for kind in (int, float):
        with suppress(ValueError):
            yield kind(text)
