"""Nothing in the package can run code that came with a file."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "src" / "lowkey").rglob("*.py"))

# The one module that opens pickles, in a process of its own, and what it may do that no other may.
DOOR = "hf/pickle_door.py"
MAY_BE_IN_DOOR = ["torch.load", "weights_only"]

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
    is_door = path == ROOT / "src" / "lowkey" / DOOR
    found = dangers(path.read_text(encoding="utf-8"))
    assert found == (MAY_BE_IN_DOOR if is_door else [])


def unsafe_loads(text: str) -> list[str]:
    """Each call of ``torch.load`` that does not say in place that it reads weights alone."""
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    loads = [call for call in calls if ast.unparse(call.func) == "torch.load"]
    return [
        ast.unparse(call)
        for call in loads
        if not any(
            word.arg == "weights_only"
            and isinstance(word.value, ast.Constant)
            and word.value.value is True
            for word in call.keywords
        )
    ]


def test_the_door_reads_weights_alone() -> None:
    assert unsafe_loads((ROOT / "src" / "lowkey" / DOOR).read_text(encoding="utf-8")) == []
    for unsafe in ("torch.load(f)", "torch.load(f, weights_only=no)", "torch.load(f, **options)"):
        assert unsafe_loads(unsafe) == [unsafe]


def modules_imported(text: str) -> set[str]:
    """The last part of each name that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.name.split(".")[-1] for alias in node.names}
            found |= {(getattr(node, "module", None) or "").split(".")[-1]}
    return found


@pytest.mark.parametrize("name", ["pickle_door", "confinement"])
def test_the_door_is_imported_by_no_other_module(name: str) -> None:
    importers = {
        path.relative_to(ROOT / "src" / "lowkey").as_posix()
        for path in MODULES
        if name in modules_imported(path.read_text(encoding="utf-8"))
    }
    assert importers == ({DOOR} if name == "confinement" else set())


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
