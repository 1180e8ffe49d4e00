"""The errors a user can mend: what is wrong, where, and what to do about it.

Each class carries the exit code of the command that meets it. Any other exception is a bug of
lowkey and ends with code 70.
"""

import difflib
import json
from collections.abc import Iterable
from typing import ClassVar


class LowkeyError(Exception):
    """A problem that is told in one line: ``where: what — fix``.

    Args:
        what: What is wrong, naming the key, file or value, without a full stop.
        where: The place, as ``file:line``, a key or an option. None leaves it out.
        fix: What the user can do about it. None leaves it out.

    Example:
        >>> print(ConfigError("unknown key trian", where="a.yaml:7", fix="did you mean train?"))
        a.yaml:7: unknown key trian — did you mean train?
    """

    exit_code: ClassVar[int] = 70

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None):
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        """Returns the whole message on one line, with control characters shown as escapes."""
        place = "" if self.where is None else f"{self.where}: "
        remedy = "" if self.fix is None else f" — {self.fix}"
        return escaped(f"{place}{self.what}{remedy}")


class ConfigError(LowkeyError):
    """A recipe, an option or a combination of them is wrong."""

    exit_code = 2


class DataError(LowkeyError):
    """The content of a file is not what it should be."""

    exit_code = 65


class MissingInputError(LowkeyError):
    """A file or folder is not there or cannot be read."""

    exit_code = 66


class UnavailableError(LowkeyError):
    """A service or an optional library that is needed is not there."""

    exit_code = 69


class CannotWriteError(LowkeyError):
    """A file or folder cannot be written."""

    exit_code = 74


class StoppedError(LowkeyError):
    """The run was stopped, and ``--resume`` goes on from its last checkpoint."""

    exit_code = 75


def did_you_mean(name: str, candidates: Iterable[str]) -> str | None:
    """Finds the candidate a mistyped name most likely stands for.

    Args:
        name: What the user wrote.
        candidates: The names that exist.

    Returns:
        The nearest candidate, or None if none is near.

    Example:
        >>> did_you_mean("learning_rte", ["seed", "learning_rate"])
        'learning_rate'
    """
    # Only so much of a foreign name is compared: difflib is quadratic in its length.
    known = {candidate.casefold()[:100]: candidate for candidate in candidates}
    nearest = difflib.get_close_matches(name.casefold()[:100], known, n=1)
    return known[nearest[0]] if nearest else None


def shown(value: object, limit: int = 60) -> str:
    """Writes a foreign value so that it fits into a message.

    Args:
        value: Any value of JSON or YAML; texts come out in double quotes.
        limit: Greatest length, in characters.

    Returns:
        The value as JSON (anything else as ``str`` writes it), cut off with an ellipsis.

    Example:
        >>> print(shown("no"), shown(None), shown([1, 2]), shown("x" * 99, limit=6))
        "no" null [1, 2] "xxxx…
    """
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def escaped(text: str) -> str:
    """Replaces line breaks, terminal codes and invisible marks by visible escapes.

    Args:
        text: A text that may hold foreign names.

    Returns:
        The text on one line, safe to print on a terminal.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
