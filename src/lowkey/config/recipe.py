"""The settings of a run: the base of every config, and a recipe read and written."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from lowkey.config.problems import first_problem
from lowkey.errors import ConfigError, shown
from lowkey.files import YamlDocument, parse_yaml, read_yaml

C = TypeVar("C", bound="Config")


class Config(BaseModel):
    """A group of settings: unknown keys are refused, values cannot change, NaN is no number.

    A validator across fields raises ``ValueError("FIELD ... — how to mend it")``; when the text
    begins with the name of a field of its model, the message points at the line of that field.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False
    )


def load_recipe(cls: type[C], path: Path, overrides: Sequence[str] = ()) -> C:
    """Reads a recipe, applies the overrides of the command line and checks the whole.

    Types are strict: the text ``"5"`` is no number, and True is not 1.

    Args:
        cls: What the recipe is to hold.
        path: The YAML file.
        overrides: Settings of the form ``a.b=value``, the value in YAML; later ones win.

    Returns:
        The checked settings.

    Raises:
        MissingInputError: If the file is not there or cannot be read.
        ConfigError: If the file or an override is wrong; the first problem is told.

    Example:
        >>> import tempfile
        >>> class Train(Config):
        ...     seed: int = 0
        >>> with tempfile.NamedTemporaryFile("w+", suffix=".yaml") as file:
        ...     load_recipe(Train, Path(file.name), ["seed=7"])
        Train(seed=7)
    """
    document = _read(path, overrides)
    set_by = [override.partition("=")[0].strip() for override in overrides]
    return _checked(cls, document, str(path), set_by)


def make_recipe(cls: type[C], settings: Mapping[str, Any], *, where: str) -> C:
    """Makes a recipe of values, checked as strictly as those of a file.

    Args:
        cls: What the recipe is to hold.
        settings: Values by key, as ``train.seed``; later ones win, and a mapping fills a group.
        where: How messages call them.

    Returns:
        The checked settings.

    Raises:
        ConfigError: If a key or a value is wrong; the first problem is told.

    Example:
        >>> class Train(Config):
        ...     seed: int = 0
        >>> make_recipe(Train, {"seed": 7}, where="settings")
        Train(seed=7)
    """
    document = YamlDocument({})
    for name, value in settings.items():
        _put(document, name.split("."), value, where)
    return _checked(cls, document, where, ())


def _checked(cls: type[C], document: YamlDocument, file: str, set_by: Sequence[str]) -> C:
    """Checks the whole; the first problem is told."""
    # In its JSON mode pydantic can be strict about numbers and texts while a list still fills
    # a tuple and a text still fills a path.
    data = json.dumps(document.data)
    try:
        return cls.model_validate_json(data, strict=True)
    except ValidationError as error:
        raise first_problem(error, cls, document, file, set_by) from None


def given_values(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Reads what a recipe and the command line say themselves, without any default.

    Args:
        path: The YAML file.
        overrides: Settings of the form ``a.b=value``.

    Returns:
        The values as they were written, not checked.

    Raises:
        MissingInputError: If the file is not there or cannot be read.
        ConfigError: If it is not YAML of keys and values, or an override is wrong.
    """
    return _read(path, overrides).data


def _read(path: Path, overrides: Sequence[str]) -> YamlDocument:
    document = read_yaml(path)
    for override in overrides:
        _apply(document, override)
    return document


def dump_recipe(config: Config) -> str:
    """Writes settings as a recipe; reading it again gives equal settings.

    Args:
        config: The settings.

    Returns:
        YAML with every key, also those that stand at their default.
    """
    return yaml.dump(
        config.model_dump(mode="json"),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=10_000,
    )


def _apply(document: YamlDocument, override: str) -> None:
    """Puts one ``a.b=value`` into the document."""
    name, equals, text = override.partition("=")
    name = name.strip()
    where = f"--set {name}"
    keys = name.split(".")
    if not equals or not all(keys):
        raise ConfigError("not of the form key=value", where=where, fix="write a.b=value")
    try:
        value = parse_yaml(text, where=where, lines=False)
    except ConfigError as error:
        fix = f"put quotes around the value: --set {name}='\"...\"'"
        raise ConfigError(error.what, where=where, fix=error.fix or fix) from None
    _put(document, keys, value.data, where)
    path = tuple(keys)
    for old in [known for known in document.texts if known[: len(path)] == path]:
        del document.texts[old]
    document.texts |= {(*path, *rest): raw for rest, raw in value.texts.items()}


def _put(document: YamlDocument, keys: Sequence[str], value: Any, where: str) -> None:
    """Sets a key, and makes the groups that it is in."""
    group: Any = document.data
    for depth, key in enumerate(keys[:-1], start=1):
        if group.get(key) is None:
            group[key] = {}
        group = group[key]
        if not isinstance(group, dict):
            what = f"{'.'.join(keys[:depth])} is {shown(group)}, it has no keys of its own"
            raise ConfigError(what, where=where)
    group[keys[-1]] = value


class _Dumper(yaml.SafeDumper):
    """Puts quotes around every text that our reader, or PyYAML's own, takes for something else."""


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # Only between double quotes does an odd line break such as U+0085 survive.
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?\Z"),
    list("-+.0123456789"),
)
