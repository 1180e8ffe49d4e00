"""Reads the project's pages, and tells what in them is not so."""

import contextlib
import io
import pydoc
import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SHELLS = {"console", "sh", "bash", "shell"}

_FENCE = re.compile(
    r'^(?P<indent> *)```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n'
    r"(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_NAMED = re.compile(r"`((?:tests|src|docs|benchmarks)/[\w./-]+)(?:::(\w+))?`")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    title: str | None
    text: str
    after: str  # what stands between it and the block before it

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_quotation(self) -> bool:
        """Whether it quotes a source file, instead of being code to run."""
        return self.language == "python" and self.title is not None


def pages() -> list[Path]:
    """All pages: those of the project's folder, and those of the site."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text, found, end = page.read_text(encoding="utf-8"), [], 0
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        language, title = match["language"], match["title"]
        content = textwrap.dedent(match["text"])
        found.append(Block(page, line, language, title, content, text[end : match.start()]))
        end = match.end()
    return found


def prose(page: Path) -> str:
    """A page without its blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    """Where a page points to, pictures included."""
    return _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """The names that the headings of a page get, in the site and on code hosts."""
    titles = re.findall(r"^#+ +(.+?) *$", prose(page), re.MULTILINE)
    return {
        re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles
    }


def named_files(page: Path) -> list[tuple[str, str]]:
    """The files that a page names, each with the test in it that is named, if any."""
    return _NAMED.findall(prose(page))


def commands(block: Block) -> Iterator[list[str]]:
    """The commands of a shell block: each program with its arguments, redirections left out."""
    for line in block.text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        command: list[str] = []
        words = iter([*lexer, ";"])
        for word in words:
            if set(word) <= set("<>"):
                next(words)
            elif set(word) <= set("|&;()"):
                if command:
                    yield command
                command = []
            else:
                command.append(word)


def is_quoted_from(text: str, source: str) -> bool:
    """Says whether lines stand in a source file, one after the other, at any depth."""
    return any(
        "\n" + textwrap.indent(text, " " * depth) in f"\n{source}"
        for depth in range(0, 24, 4)
        if text.strip()
    )


def wrong_output(page_blocks: list[Block]) -> list[str]:
    """Runs the Python blocks of a page, and compares what they print with the blocks behind."""
    found: list[str] = []
    namespace: dict[str, Any] = {"__name__": "page"}
    printed: str | None = None
    for block in page_blocks:
        if block.language == "text" and printed is not None and not block.after.strip():
            if block.text != printed:
                found.append(f"{block.where}\n{block.text}--- but it prints\n{printed}")
            printed = None
        elif block.language == "python" and not block.is_quotation:
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(compile("\n" * block.line + block.text, block.page, "exec"), namespace)
            printed = output.getvalue()
    return found


def broken(page: Path, target: str) -> str | None:
    """Says what is wrong with a link, or nothing."""
    if re.match(r"(https?|mailto):", target):
        return None
    name, _, anchor = target.partition("#")
    file = (page.parent / name).resolve() if name else page
    if not file.exists():
        return f"{page}: no file {target}"
    if anchor.startswith("lowkey."):
        return None if pydoc.locate(anchor) else f"{page}: nothing is called {anchor}"
    return None if not anchor or anchor in anchors(file) else f"{page}: no heading {target}"


def skeleton(drawing: str) -> tuple[str, list[float]]:
    """A drawing in two parts: what is written in it, and its numbers.

    Pixels and names derived from numbers are left out: the last digit of a number may differ
    between two processors.
    """
    drawing = re.sub(r'base64,[^"]+|(?:id="|url\(#|href="#)[^")]+', "", drawing)
    number = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
    return number.sub("0", drawing), [float(found) for found in number.findall(drawing)]
