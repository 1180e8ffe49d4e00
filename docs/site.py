"""What the site needs beyond Markdown; mkdocs runs this file as a hook, griffe as an extension.

Formulas become MathML while the site is built, so that no page loads a foreign script, and the
docstrings' way of writing formulas and examples is brought to the pages' way.
"""

import html
import re
from typing import Any

import griffe
from latex2mathml.converter import convert

MARKED = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
INLINE = re.compile(r":math:`(.+?)`", re.DOTALL)
BLOCK = re.compile(r"^( *)\.\. math::((?:.*\n?)(?:^\1 +\S.*\n?)*)", re.MULTILINE)


def on_page_content(content: str, **_: Any) -> str:
    """Puts MathML in the place of every formula that the Markdown extension has marked."""

    def mathml(found: re.Match[str]) -> str:
        display = "inline" if found[2] == "(" else "block"
        return convert(html.unescape(found[3]).strip(), display=display)

    return MARKED.sub(mathml, content)


def as_markdown(docstring: str) -> str:
    """Rewrites formulas, code and the heading of examples."""

    def block(found: re.Match[str]) -> str:
        indent, formula = found[1], " ".join(found[2].split())
        return f"{indent}$$\n{indent}{formula}\n{indent}$$\n"

    text = BLOCK.sub(block, INLINE.sub(r"$\1$", docstring))
    return re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE)


class Docstrings(griffe.Extension):
    """Brings every docstring to Markdown before it is read."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each module, class and function."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)
