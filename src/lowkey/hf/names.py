"""A two-way table between our module names and another library's.

Rows name *modules*, so one row carries a weight, a bias and a LoRA matrix alike.
"""

import re
from collections.abc import Sequence
from itertools import permutations

from lowkey.hf.parts import part_name

_LAYER = re.compile(r"0|[1-9][0-9]{0,5}")


Row = tuple[str | tuple[str, ...], str]


class NameMap:
    """Translates parameter names in both directions through one table of modules.

    A row matches a name when its dotted parts are the name's first parts; ``{}`` matches a
    layer index. What follows the row (``.weight``, ``.lora_A.weight``) is carried across. A row of
    several modules of ours says that they are the parts of one of theirs (see ``parts.py``).

    Args:
        rows: Pairs (our module, or our modules in their order; their module). Each name of a row
            holds ``{}`` at most once, and all or none.

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

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = tuple(rows)
        # How many parts a module of theirs has, by the last part of its name.
        self.parts: dict[str, int] = {}
        pairs: list[tuple[str, str]] = []
        for our, their in self.rows:
            if isinstance(our, str):
                pairs.append((our, their))
            else:
                self.parts[their.rpartition(".")[2]] = len(our)
                pairs += [(one, part_name(their, i)) for i, one in enumerate(our)]
        for our, their in pairs:
            if not our.count("{}") == their.count("{}") <= 1:
                raise ValueError(f"row {our!r}, {their!r}: one layer index on both sides or none")
        for side in zip(*pairs, strict=True):
            _refuse_ambiguous(side)
        self._to_theirs = [(our.split("."), their) for our, their in pairs]
        self._to_ours = [(their.split("."), our) for our, their in pairs]

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
