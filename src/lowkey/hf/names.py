"""A two-way table between our module names and another library's.

Rows name *modules*, so one row carries a weight, a bias and a LoRA matrix alike.
"""

import re
from collections.abc import Sequence
from itertools import permutations

_LAYER = re.compile(r"0|[1-9][0-9]{0,5}")


class NameMap:
    """Translates parameter names in both directions through one table of modules.

    A row matches a name when its dotted parts are the name's first parts; ``{}`` matches a
    layer index. What follows the row (``.weight``, ``.lora_A.weight``) is carried across.

    Args:
        rows: Pairs (our module, their module). Each side of a row holds ``{}`` at most once,
            and both sides or neither.

    Raises:
        ValueError: If the two sides of a row disagree about ``{}``, or if one row's name begins
            another's, so that a name could match both.

    Example:
        >>> names = NameMap([("blocks.{}.attention.query", "layer.{}.attention.self.query")])
        >>> names.theirs("blocks.3.attention.query.lora_A.weight")
        'layer.3.attention.self.query.lora_A.weight'
        >>> names.ours("layer.3.attention.self.query.bias")
        'blocks.3.attention.query.bias'
    """

    def __init__(self, rows: Sequence[tuple[str, str]]) -> None:
        self.rows = tuple(rows)
        for our, their in self.rows:
            if not our.count("{}") == their.count("{}") <= 1:
                raise ValueError(f"row {our!r}, {their!r}: one layer index on both sides or none")
        for side in zip(*self.rows, strict=True):
            _refuse_ambiguous(side)
        self._to_theirs = [(our.split("."), their) for our, their in self.rows]
        self._to_ours = [(their.split("."), our) for our, their in self.rows]

    def ours(self, name: str) -> str:
        """Translates their name into ours.

        Args:
            name: A module or parameter name of theirs.

        Returns:
            Our name for the same thing.

        Raises:
            KeyError: If no row matches.
        """
        return _translate(name, self._to_ours)

    def theirs(self, name: str) -> str:
        """Translates our name into theirs.

        Args:
            name: A module or parameter name of ours.

        Returns:
            Their name for the same thing.

        Raises:
            KeyError: If no row matches.
        """
        return _translate(name, self._to_theirs)


def _translate(name: str, rows: list[tuple[list[str], str]]) -> str:
    parts = name.split(".")
    for pattern, target in rows:
        head, rest = parts[: len(pattern)], parts[len(pattern) :]
        if len(head) == len(pattern) and all(map(_matches, pattern, head)):
            layer = head[pattern.index("{}")] if "{}" in pattern else ""
            return ".".join([target.format(layer), *rest])
    raise KeyError(name)


def _matches(pattern: str, part: str) -> bool:
    return bool(_LAYER.fullmatch(part)) if pattern == "{}" else pattern == part


def _refuse_ambiguous(names: Sequence[str]) -> None:
    for name, other in permutations(names, 2):
        if f"{other}.".startswith(f"{name}."):
            raise ValueError(f"rows {name!r} and {other!r} match the same names")
