"""Which adapter each row of a batch belongs to: said by the caller, never guessed from a shape.

A linear map sees rows, and not all maps of a model see the same ones: those of the blocks see the
tokens, a pooler or a head one row for each sentence, the keys of a cross-attention the tokens of
another sequence. Each of these kinds of rows has its own map from rows to adapters.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

Group = tuple[str | None, slice | Tensor]


class Rows:
    """The rows of a batch, run by run: each run belongs to one adapter, or to the base alone.

    Args:
        names: The adapter of each run; None for the base.
        lengths: Rows in each run, such as the tokens of each sentence; 1 each if None.
        device: Where the batch lives.

    Raises:
        ValueError: If there are not as many lengths as names, or if one is negative.

    Example:
        >>> rows = Rows(["a", "b", "b", "a"], [2, 1, 3, 1])
        >>> [(name, where if isinstance(where, slice) else where.tolist())
        ...  for name, where in rows.groups]
        [('a', [0, 1, 6]), ('b', slice(2, 6, None))]
    """

    def __init__(
        self,
        names: Sequence[str | None],
        lengths: Sequence[int] | Tensor | None = None,
        device: torch.device | str = "cpu",
    ):
        ones = [1] * len(names)
        counts = torch.as_tensor(ones if lengths is None else lengths, dtype=torch.int64).tolist()
        if len(counts) != len(names) or any(count < 0 for count in counts):
            raise ValueError(f"{len(names)} runs of rows with lengths {counts}")
        runs: dict[str | None, list[tuple[int, int]]] = {}
        self.num_rows = 0
        for name, count in zip(names, counts, strict=True):
            start, self.num_rows = self.num_rows, self.num_rows + count
            own = runs.setdefault(name, [])
            if own and own[-1][1] == start:
                own[-1] = (own[-1][0], self.num_rows)
            elif count:
                own.append((start, self.num_rows))
        # A slice where rows lie together, which needs no copy.
        self.groups: list[Group] = [
            (name, _places(own).to(device) if len(own) > 1 else slice(*own[0]))
            for name, own in runs.items()
            if own
        ]


def _places(runs: Sequence[tuple[int, int]]) -> Tensor:
    return torch.cat([torch.arange(start, end) for start, end in runs])


class Router:
    """Tells each map of a bank whose rows it sees.

    Outside of ``route`` all rows belong to one adapter, ``active``, or to the base if it is None.
    """

    def __init__(self) -> None:
        self.active: str | None = None
        self._rows: Mapping[str, Rows] | None = None

    @contextmanager
    def route(self, rows: Mapping[str, Rows]) -> Iterator[None]:
        """Deals the rows of one batch out to adapters.

        Args:
            rows: The rows of each kind.

        Yields:
            Nothing; the batch is computed meanwhile.
        """
        before, self._rows = self._rows, rows
        try:
            yield
        finally:
            self._rows = before

    def groups(self, kind: str, num_rows: int) -> list[Group]:
        """Finds the rows of each adapter.

        Args:
            kind: What kind of rows it is.
            num_rows: How many there are.

        Returns:
            Names of adapters, None for the base, each with its rows.

        Raises:
            ValueError: If the batch does not say whose rows these are, or has another number.
        """
        if self._rows is None:
            return [(self.active, slice(0, num_rows))]
        rows = self._rows.get(kind)
        if rows is None:
            raise ValueError(f"this batch does not say whose its rows of {kind} are")
        if rows.num_rows != num_rows:
            raise ValueError(f"there are {num_rows} rows of {kind}, {rows.num_rows} were said")
        return rows.groups


def kind_of(path: str, kinds: Mapping[str, str]) -> str:
    """Looks up which kind of rows a map sees.

    Args:
        path: Its full name.
        kinds: Kinds by the first parts of names; ``{}`` stands for a number, and of several that
            match the longest holds.

    Returns:
        The kind.

    Raises:
        ValueError: If none matches.

    Example:
        >>> kinds = {"blocks": "target", "blocks.{}.cross_attention.key": "source"}
        >>> [kind_of(f"blocks.0.cross_attention.{name}", kinds) for name in ("query", "key")]
        ['target', 'source']
    """
    parts = path.split(".")
    found = [pattern for pattern in kinds if _begins(parts, pattern.split("."))]
    if not found:
        raise ValueError(f"nothing was said about which rows {path} sees")
    return kinds[max(found, key=lambda pattern: pattern.count("."))]


def _begins(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if len(pattern) > len(parts):
        return False
    pairs = zip(pattern, parts, strict=False)
    return all(one == part or (one == "{}" and part.isdecimal()) for one, part in pairs)
