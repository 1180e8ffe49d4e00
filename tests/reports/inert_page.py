"""What a page is made of, as the standard library's parser sees it."""

import base64
import hashlib
from html.parser import HTMLParser

CSP = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)
PAYLOADS = [
    "<script>window.__xss=1</script>",
    "</style><script>1</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)' x='",
    "</title></svg></textarea><iframe src=//example.org>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% include 'style.css' %}",
    "<!-- --><![CDATA[ &lt; &#60;script&#62;",
    "\x1b[31mred\x1b[0m \x07\x9b31m",
    "a\u202eevil\u202c\u2066b\u2069\u200b\ufeff\u2028",
    "\x00NUL and \ud800 half a pair",
    "=HYPERLINK('http://example.org')",
    "$\\frac{1}{0}$ $x",
]


class Outline(HTMLParser):
    """Collects elements with the names of their attributes, addresses, styles and text."""

    def __init__(self, page: str):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, ...]] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.style = self.text = self.script = ""
        self._open = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = tag
        self.elements.append((tag, *(name for name, _ in attrs)))
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        if self._open == "style":
            self.style += data
        elif self._open == "script":
            self.script += data
        else:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_comment(self, data: str) -> None:
        self.elements.append(("comment", data))


def problems(page: str, *, script: str | None = None) -> list[str]:
    """Lists what could run, load or mislead; a script is allowed if the page allows it by hash."""
    outline = Outline(page)
    tags = [element[0] for element in outline.elements]
    found = sorted({"iframe", "object", "embed", "base", "form", "comment"} & set(tags))
    policy = CSP
    if script is None:
        found += ["script"] * tags.count("script")
    else:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy = CSP.replace("img-src", f"script-src 'sha256-{digest}'; img-src")
        if tags.count("script") != 1 or ("script",) not in outline.elements:
            found.append("not the one script")
        if outline.script != script:
            found.append("another script")
    found += [name for _, name, _ in outline.attributes if name.startswith("on") or name == "style"]
    for _, name, value in outline.attributes:
        if name in ("href", "src", "xlink:href", "srcset", "data", "action") and not (
            value.startswith(("#", "data:image/png;base64,", "data:image/svg+xml;base64,"))
            or value == "data:,"
        ):
            found.append(f"{name}={value}")
    found += [word for word in ("url(", "@import", "</", "http") if word in outline.style]
    if ("meta", "content", policy) not in outline.attributes:
        found.append("no content security policy")
    spaces = "\n\t\u00a0"
    found += [repr(char) for char in page if not char.isprintable() and char not in spaces]
    return found
