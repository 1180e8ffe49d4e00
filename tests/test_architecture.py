"""The shape of the package: who imports whom, how long a file may be and what it is called."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "lowkey"
MODULES = sorted(SOURCE.rglob("*.py"))
TESTS = sorted(path for path in (ROOT / "tests").rglob("*.py") if "data" not in path.parts)
BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))

MAX_FILE_LINES = 250
MAX_FUNCTION_LINES = 60  # without the docstring
# A file or "file:function" that may be longer, and why.
LONGER: dict[str, str] = {}

BANNED_NAMES = {"utils", "helpers", "common", "misc", "base", "core"}

# A test file is named after the module it tests, or test_against_ORACLE where it compares a room
# with another library; these look at more than one module.
ACROSS_MODULES = {
    "test_architecture.py",
    "test_checks.py",
    "test_debian_descriptions.py",
    "test_debian_topics.py",
    "test_compare_page.py",
    "test_dangers.py",
    "test_docstrings.py",
    "test_docs.py",
    "test_benchmarks.py",
    "test_messages.py",
    "test_recipes.py",
    "test_training_jobs.py",
    "test_wheel.py",
    "cli/test_masks.py",
    "hf/test_hostile.py",
    "hf/test_presets.py",
    "experiments/test_families.py",
    "experiments/test_long_texts.py",
    "experiments/test_rerank_options.py",
    "experiments/test_lora_options.py",
    "experiments/test_multilabel.py",
    "experiments/test_pooling.py",
    "experiments/test_survival.py",
    "pipelines/test_batch_composition.py",
    "cli/test_multilabel.py",
    "training/test_kill.py",
    "recipes/test_shipped_data.py",
    "recipes/test_toys.py",
}

# Where a package is imported under another name.
IMPORT_NAMES = {
    "pillow": "PIL",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
}

# What makes a start slow; none of it may stand behind `lowkey --help` or the reading of a recipe.
SLOW_IMPORTS = ("torch", "datasets", "matplotlib", "sklearn", "tensorboard")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# Who imports whom


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs the contracts of pyproject.toml on the package in ``folder/src``."""
    program = (
        f"import sys; sys.path.insert(0, {str(folder / 'src')!r});"
        "from importlinter.cli import lint_imports_command; lint_imports_command()"
    )
    return subprocess.run(
        [sys.executable, "-c", program, "--no-cache", "--no-logo"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_import_contracts_are_kept() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_broken_import_contract_is_seen(tmp_path: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__", "*.gz")
    shutil.copytree(SOURCE, tmp_path / "src" / "lowkey", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    planted = {
        "nn/planted.py": "import lowkey.training.planted\nimport lowkey.metrics.planted\n",
        "training/planted.py": "",
        "metrics/planted.py": "",
        "lora/planted.py": "import tokenizers\n",
        "hf/planted.py": "import transformers\n",
        "attic.py": "",
    }
    for name, text in planted.items():
        path = tmp_path / "src" / "lowkey" / name
        path.parent.mkdir(exist_ok=True)
        path.parent.joinpath("__init__.py").touch()
        path.write_text(text)
    result = lint_imports(tmp_path)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "3 broken" in result.stdout
    for seen in (
        "lowkey.nn.planted -> lowkey.training.planted",  # a floor up
        "lowkey.nn.planted -> lowkey.metrics.planted",  # a neighbour
        "lowkey.lora.planted -> tokenizers",
        "lowkey.hf.planted -> transformers",
        "attic",  # a module that stands on no floor
    ):
        assert seen in result.stdout, result.stdout


def torch_free_modules() -> list[str]:
    single = ("errors", "files", "config", "cli")
    here = [name for name in single if list(SOURCE.glob(f"{name}*"))]
    rooms = sorted(f"{path.parent.name}.config" for path in SOURCE.glob("*/config.py"))
    return ["lowkey", *(f"lowkey.{name}" for name in [*here, *rooms])]


def imported_by(module: str) -> list[str]:
    """The slow packages that importing ``module`` in a fresh interpreter brings in."""
    program = f"import sys, {module}; print(*(m for m in {SLOW_IMPORTS} if m in sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return result.stdout.split()


@pytest.mark.parametrize("module", torch_free_modules())
def test_configuration_is_read_without_torch(module: str) -> None:
    assert imported_by(module) == []


def test_an_import_of_torch_is_seen() -> None:
    assert "torch" in imported_by("lowkey.nn.layout")


def imported_packages(text: str) -> set[str]:
    """The foreign packages that the file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    # torch.utils.tensorboard is a thin cover over the package tensorboard.
    found = {"tensorboard" if name == "torch.utils.tensorboard" else name for name in found}
    return {name.split(".")[0] for name in found} - set(sys.stdlib_module_names) - {"lowkey"}


def declared_packages() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["wandb"]]
    names = {re.split(r"[<>=\[]", line)[0] for line in lines}
    return {IMPORT_NAMES.get(name, name) for name in names}


def all_imported_packages() -> set[str]:
    return set().union(*(imported_packages(p.read_text(encoding="utf-8")) for p in MODULES))


def test_every_imported_package_is_a_declared_dependency() -> None:
    assert all_imported_packages() - declared_packages() == set()


def test_every_declared_dependency_is_imported() -> None:
    assert declared_packages() - all_imported_packages() == set()


def test_every_room_has_its_page_in_the_reference() -> None:
    rooms = {p.parent.name for p in SOURCE.glob("*/__init__.py")} | {
        path.stem for path in SOURCE.glob("*.py") if not path.stem.startswith("__")
    }
    pages = {path.stem for path in (ROOT / "docs" / "reference").glob("*.md")}
    assert rooms - pages == {"cli"} & rooms  # which tells about itself: lowkey --help


# How long, and under what name


def functions(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every function of the file with its length in lines, its docstring not counted."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if ast.get_docstring(node, clean=False) is not None:
                docstring = node.body[0]
                lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
            yield node.name, lines


def too_long(name: str, text: str) -> list[str]:
    found = [f"{name}: {n} lines"] if (n := len(text.splitlines())) > MAX_FILE_LINES else []
    found += [
        f"{name}:{function}: {lines} lines"
        for function, lines in functions(ast.parse(text))
        if lines > MAX_FUNCTION_LINES
    ]
    return [line for line in found if line.rsplit(": ", 1)[0] not in LONGER]


@pytest.mark.parametrize("path", [*MODULES, *TESTS, *BENCHMARKS], ids=relative)
def test_files_and_functions_stay_short(path: Path) -> None:
    assert too_long(relative(path), path.read_text(encoding="utf-8")) == []


def test_a_long_file_and_a_long_function_are_seen() -> None:
    body = "    x = 1\n" * MAX_FUNCTION_LINES
    assert too_long("a.py", f"def f():\n{body}") == ["a.py:f: 61 lines"]
    assert too_long("a.py", f'def f():\n    """Says.\n\n    More.\n    """\n{body[10:]}') == []
    assert too_long("a.py", "x = 1\n" * (MAX_FILE_LINES + 1)) == ["a.py: 251 lines"]


def test_the_exceptions_are_needed() -> None:
    for name in LONGER:
        file, _, function = name.partition(":")
        text = (ROOT / file).read_text(encoding="utf-8")
        lengths = dict(functions(ast.parse(text)))
        assert lengths[function] > MAX_FUNCTION_LINES if function else len(text.splitlines()) > 250


@pytest.mark.parametrize("path", [*MODULES, *TESTS, *BENCHMARKS], ids=relative)
def test_a_name_says_what_is_inside(path: Path) -> None:
    assert not BANNED_NAMES & {*path.relative_to(ROOT).parent.parts, path.stem}


def test_a_test_file_mirrors_a_module() -> None:
    for path in TESTS:
        name = path.relative_to(ROOT / "tests")
        is_test = path.match("test_*.py") and not path.match("test_against_*.py")
        if is_test and name.as_posix() not in ACROSS_MODULES:
            module = SOURCE / name.with_name(path.name.removeprefix("test_"))
            assert module.exists(), f"{name} tests {relative(module)}, which does not exist"
