"""Makes foreign text safe to look at: what hides, or moves its neighbours, becomes an escape."""

import unicodedata

from lowkey.errors import escaped

# Persian, Hindi and many emoji are misspelt without the two joiners.
_KEPT = frozenset("\n\t\u200c\u200d")


def visible(text: str) -> str:
    r"""Writes every character that cannot be seen, or that reorders others, as an escape.

    Args:
        text: Any text, lone surrogates included.

    Returns:
        The text with ``\x1b``, ``\u202e`` and the like in place of such characters. Newlines,
        tabs, spaces of any width and joiners stay. The result can be encoded as UTF-8.

    Example:
        >>> print(visible("a\x1b[31mb"))
        a\x1b[31mb
    """
    if text.isprintable():
        return text
    return "".join(character if _is_seen(character) else escaped(character) for character in text)


def one_line(text: str, limit: int = 80) -> str:
    r"""Puts text on one line, makes it visible and cuts it.

    Args:
        text: Any text.
        limit: Most characters to keep, the ellipsis included.

    Returns:
        At most ``limit`` characters.

    Example:
        >>> one_line("two\nlines", limit=6)
        'two l…'
    """
    # Cut first: a label of a hundred megabytes must not be walked as a whole.
    shown = visible(text[: limit + 1].replace("\n", " ").replace("\t", " "))
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def token_label(token: str, limit: int = 14) -> str:
    r"""Names a token at the side of a picture.

    Args:
        token: Its text.
        limit: Most characters to keep, the ellipsis included.

    Returns:
        One visible line; each space alone is shown as an open box.

    Example:
        >>> token_label("  "), token_label("a b")
        ('␣␣', 'a b')
    """
    return "\u2423" * min(len(token), limit) if token.strip(" ") == "" else one_line(token, limit)


def _is_seen(character: str) -> bool:
    return character.isprintable() or character in _KEPT or unicodedata.category(character) == "Zs"
