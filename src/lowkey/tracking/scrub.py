"""Takes secrets out of settings before they leave the process."""

import re
from collections.abc import Mapping
from typing import Any

REMOVED = "[removed]"

# Names are compared word by word, so that tokenizer, max_tokens and target_modules stay.
_SECRET_WORD = re.compile(
    "(api|access|auth|secret|private)?(token|keys?)|secrets?|passwords?|passwd|passphrase"
    "|credentials?"
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_URL_USER = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://)[^/?#\s]*@")
_URL_QUERY = re.compile(r"([?&])([^=&#\s]+)=([^&#\s]+)")


def scrub(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns settings without their secrets.

    What stands under a name with a word such as token, key, secret or password (``hf_token``,
    ``apiKey``; not ``tokenizer``, ``batch_tokens``) is replaced, unless it is None or a
    boolean. URLs lose their user information and such parameters.

    Args:
        settings: Settings by name; values may be nested.

    Returns:
        A copy of plain dicts and lists.

    Example:
        >>> scrub({"hf_token": "hf_x", "batch_tokens": 512, "url": "https://me:pw@host/d"})
        {'hf_token': '[removed]', 'batch_tokens': 512, 'url': 'https://host/d'}
    """
    return {
        scrub_text(str(name)): REMOVED if _is_secret(str(name), value) else _scrubbed(value)
        for name, value in settings.items()
    }


def scrub_text(text: str) -> str:
    """Returns a text whose URLs have lost their user information and secret parameters.

    Args:
        text: Any text.

    Returns:
        The text with only those parts changed.
    """

    def parameter(match: re.Match[str]) -> str:
        before, name, _ = match.groups()
        return f"{before}{name}={REMOVED}" if _names_a_secret(name) else match[0]

    return _URL_QUERY.sub(parameter, _URL_USER.sub(r"\1", text))


def _scrubbed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return scrub(value)
    if isinstance(value, list | tuple):
        return [_scrubbed(item) for item in value]
    return scrub_text(value) if isinstance(value, str) else value


def _is_secret(name: str, value: Any) -> bool:
    return not (value is None or isinstance(value, bool)) and _names_a_secret(name)


def _names_a_secret(name: str) -> bool:
    return any(_SECRET_WORD.fullmatch(word.lower()) for word in _WORD.findall(name))
