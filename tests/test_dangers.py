"""Nothing in the package can run code that came with a file."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "src" / "lowkey").rglob("*.py"))

BANNED_MODULES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
BANNED_CALLS = {"eval", "exec", "torch.load", "yaml.load", "yaml.full_load", "yaml.unsafe_load"}
BANNED_WORDS = {"allow_pickle", "trust_remote_code", "weights_only"}


def dangers(text: str) -> list[str]:
    """Whatever in ``text`` could run code that came with a file."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and (name := ast.unparse(node.func)) in BANNED_CALLS:
            found.append(name)
        if isinstance(node, ast.keyword) and node.arg in BANNED_WORDS:
            found.append(node.arg)
        imported = []
        if isinstance(node, ast.Import):
            imported = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            imported = [f"{node.module}.{alias.name}" for alias in node.names]
        found += [n for n in imported if n.split(".")[0] in BANNED_MODULES or n in BANNED_CALLS]
        if isinstance(node, ast.Attribute) and re.fullmatch(r"(read|to)_pickle", node.attr):
            found.append(node.attr)
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_file_can_run_code(path: Path) -> None:
    assert dangers(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("import pickle", "pickle"),
        ("import joblib.memory", "joblib.memory"),
        ("from torch import load", "torch.load"),
        ("import torch; torch.load(path)", "torch.load"),
        ("import yaml; yaml.load(text, Loader=yaml.SafeLoader)", "yaml.load"),
        ("eval(text)", "eval"),
        ("exec(text)", "exec"),
        ("load(path, trust_remote_code=True)", "trust_remote_code"),
        ("frame.to_pickle(path)", "to_pickle"),
    ],
)
def test_what_can_run_code_is_seen(text: str, seen: str) -> None:
    assert dangers(text) == [seen]


def test_putting_a_model_in_evaluation_mode_is_no_danger() -> None:
    assert dangers("model.eval()") == []
