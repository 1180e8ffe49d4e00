"""A docstring tells every exception that the function itself raises."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "src" / "lowkey").rglob("*.py"))


def own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, those of functions inside it left out."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node
            yield from own_nodes(node)


def raised(function: ast.AST) -> set[str]:
    """The classes in statements such as ``raise ConfigError(...)``."""
    calls = (n.exc for n in own_nodes(function) if isinstance(n, ast.Raise))
    names = {ast.unparse(c.func) for c in calls if isinstance(c, ast.Call)}
    return {name for name in names if re.fullmatch(r"[A-Z]\w*", name)}


def told(docstring: str | None) -> set[str]:
    """The classes that the section Raises lists."""
    section = re.search(r"^Raises:\n((?:[ \t]+.*\n?|\n)*)", docstring or "", flags=re.MULTILINE)
    return set(re.findall(r"^ +([A-Z]\w*):", section[1], flags=re.MULTILINE)) if section else set()


def untold(text: str) -> list[str]:
    """Each public function, ``__init__`` included, with the exceptions it keeps to itself."""
    found = []
    scopes: list[tuple[ast.AST, str | None]] = [(ast.parse(text), None)]
    while scopes:
        scope, class_docstring = scopes.pop()
        for node in ast.iter_child_nodes(scope):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                scopes.append((node, ast.get_docstring(node)))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                is_init = node.name == "__init__"
                if is_init or not node.name.startswith("_"):
                    docstring = class_docstring if is_init else ast.get_docstring(node)
                    missing = raised(node) - told(docstring)
                    found += [f"{node.name}: {name}" for name in sorted(missing)]
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_is_raised_is_told(path: Path) -> None:
    assert untold(path.read_text(encoding="utf-8")) == []


def test_an_untold_exception_is_seen() -> None:
    function = 'def f():\n    """Does.{}"""\n    raise ValueError("x")\n'
    section = "\n\n    Raises:\n        ValueError: Always.\n    "
    assert untold(function.format("")) == ["f: ValueError"]
    assert untold(function.format(section)) == []
    assert untold(
        'class C:\n    """Is."""\n    def __init__(self):\n        raise KeyError(1)\n'
    ) == ["__init__: KeyError"]
