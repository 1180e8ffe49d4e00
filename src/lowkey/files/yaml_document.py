"""Reads YAML as people mean it, and remembers the line of every key.

Differs from PyYAML where PyYAML surprises: ``1e-4`` is a number; ``010``, ``12:30:45`` and dates
are texts; keys are always texts (``on:`` too); a key given twice is an error; and there are no
aliases and no tags. A bare ``no`` is False, as in every YAML reader of Python, but the text that
stood there is kept, so that the mistake can be named.
"""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from lowkey.errors import ConfigError, DataError, shown
from lowkey.files.text import MAX_DEPTH, MIB, encodable, read_text

KeyPath: TypeAlias = tuple[str | int, ...]

# PyYAML reads some 100 KB a second; no recipe is that long.
_MAX_BYTES = MIB // 4
_TAG = "tag:yaml.org,2002:"
_SCALARS = {
    "null": (r"~|null|Null|NULL|", [*"~nN", ""]),
    "bool": (r"(?i:yes|no|true|false|on|off)", list("yYnNtTfFoO")),
    "int": (r"[-+]?(?:0|[1-9][0-9]{0,99})", list("-+0123456789")),
    "float": (
        r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?",
        list("-+.0123456789"),
    ),
}


@dataclass
class YamlDocument:
    """A mapping read from YAML, and where its parts stand.

    Attributes:
        data: The mapping (or, from `parse_yaml`, any value).
        lines: Line of each key and list item, counted from 1, by the path of keys to it.
        texts: The text of each scalar as it was written, by the path of keys to it.
    """

    data: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    texts: dict[KeyPath, str] = field(default_factory=dict)


def read_yaml(path: Path) -> YamlDocument:
    """Reads a YAML file that holds one mapping; an empty file is an empty mapping.

    Args:
        path: The file, at most 256 KiB.

    Returns:
        The mapping with the lines of its keys.

    Raises:
        MissingInputError: If the file is not there or is no regular file that can be read.
        ConfigError: If it is too large, not UTF-8, not YAML, not a mapping, or holds a key
            twice, an alias, a tag, a number beyond the range of floats, or more than 64 levels.
    """
    try:
        text = read_text(path, max_bytes=_MAX_BYTES)
    except DataError as error:
        raise ConfigError(error.what, where=error.where, fix=error.fix) from None
    document = parse_yaml(text, where=str(path))
    if document.data is None:
        document.data = {}
    if not isinstance(document.data, dict):
        what = f"this is {shown(document.data)}, not a mapping"
        raise ConfigError(what, where=f"{path}:1", fix="write lines of the form 'key: value'")
    return document


def parse_yaml(text: str, *, where: str, lines: bool = True) -> YamlDocument:
    """Parses YAML that may hold any value.

    Args:
        text: The YAML.
        where: The place of the text, for messages.
        lines: Whether messages name the line (``where:line``).

    Returns:
        The value (as ``data``, of any kind) with the lines of its parts.

    Raises:
        ConfigError: See `read_yaml`.
    """

    def place(line: int) -> str:
        return f"{where}:{line + 1}" if lines else where

    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        document = YamlDocument()
        document.data = None if node is None else _Builder(document, place).value(node, ())
    except yaml.MarkedYAMLError as error:
        fix = "indent with spaces, not tabs" if "'\\t'" in (error.problem or "") else None
        what = f"not YAML ({error.problem})"
        line = 0 if error.problem_mark is None else error.problem_mark.line
        raise ConfigError(what, where=place(line), fix=fix) from None
    except yaml.YAMLError as error:
        character = getattr(error, "character", "?")
        what = f"not YAML (the character {shown(character)} is not allowed)"
        line = text.count("\n", 0, getattr(error, "position", 0))
        raise ConfigError(what, where=place(line)) from None
    return document


class _Loader(yaml.SafeLoader):
    """PyYAML's parser with our scalars, without aliases, and with a limit of depth."""

    yaml_implicit_resolvers = {}  # noqa: RUF012
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            problem = "aliases are not supported; write the value out"
        elif getattr(event, "tag", None) is not None:
            problem = f"tags such as {shown(event.tag)} are not supported"
        elif self.depth > MAX_DEPTH:
            problem = f"more than {MAX_DEPTH} levels"
        elif not encodable(getattr(event, "value", "")):
            problem = "half a surrogate pair"
        else:
            self.depth += 1
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


class _Builder:
    """Turns nodes into values and notes where each stood."""

    def __init__(self, document: YamlDocument, place: Any):
        self.document = document
        self.place = place

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self.document.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
        self.document.texts[path] = node.value
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        first: dict[str, yaml.Node] = {}
        mapping = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError(
                    "a key must be a text", where=self.place(key_node.start_mark.line)
                )
            key = key_node.value
            if key in first:
                self._refuse_twice((*path, key), first[key], key_node, mapping[key], value_node)
            first[key] = key_node
            self.document.lines[(*path, key)] = key_node.start_mark.line + 1
            mapping[key] = self.value(value_node, (*path, key))
        return mapping

    def _refuse_twice(
        self, path: KeyPath, first: yaml.Node, second: yaml.Node, old: Any, node: yaml.Node
    ) -> None:
        name = ".".join(map(str, path))
        lines = [mark.line + 1 for mark in (first.start_mark, second.start_mark)]
        values = [old, self.value(node, path)]
        both = ", ".join(f"line {n}: {shown(v, 20)}" for n, v in zip(lines, values, strict=True))
        place = self.place(second.start_mark.line)
        raise ConfigError(f"{name} given twice ({both})", where=place, fix="delete one")

    def _scalar(self, node: yaml.Node) -> str | int | float | bool | None:
        text: str = node.value
        match node.tag.removeprefix(_TAG):
            case "null":
                return None
            case "bool":
                return text.casefold() in ("yes", "true", "on")
            case "int":
                return int(text)
            case "float" if math.isfinite(float(text)):
                return float(text)
            case "float":
                raise ConfigError(
                    f"{shown(text)} is too large", where=self.place(node.start_mark.line)
                )
        return text


for _name, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(rf"(?:{_pattern})\Z"), _first)
