"""The tools of `make check` see a planted mistake: a blind checker, too, says "no errors"."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOOLS = Path(sys.executable).parent


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_type_checker_sees_wrong_types(tmp_path: Path) -> None:
    # Through torch, jaxtyping and lowkey: an import that does not resolve would pass as any type.
    planted = tmp_path / "planted.py"
    planted.write_text(
        "from jaxtyping import Float\n"
        "from torch import Tensor\n"
        "from lowkey.nn.layout import SequenceLayout\n"
        'def width(x: Float[Tensor, "tokens d_model"]) -> str:\n'
        "    return x.shape[-1]\n"
        "layout: int = SequenceLayout([1, 2])\n"
    )
    command = ("check", "--config", ROOT / "pyproject.toml", "--output-format", "min-text")
    result = run(TOOLS / "pyrefly", *command, "--python-interpreter-path", sys.executable, planted)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "[bad-return]" in result.stdout
    assert "[bad-assignment]" in result.stdout
    assert "[missing-import]" not in result.stdout


def test_the_docstring_checker_sees_a_missing_argument(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(
        "def width(x: int, y: int) -> int:\n"
        '    """Says how wide.\n\n    Args:\n        x: The left edge.\n    """\n'
        "    return y - x\n"
    )
    result = run(TOOLS / "pydoclint", "--config", ROOT / "pyproject.toml", planted)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "DOC101" in result.stderr + result.stdout  # y has no line
    assert "DOC201" in result.stderr + result.stdout  # the result has none


def test_the_linter_knows_shapes_from_names(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(
        '"""Planted."""\n\nfrom jaxtyping import Float\nfrom torch import Tensor\n\n\n'
        'def width(x: Float[Tensor, "tokens d_model"]) -> int:\n'
        '    """Says how wide."""\n    return x.shape[wrong]\n'
    )
    command = ("check", "--config", ROOT / "pyproject.toml", "--output-format", "concise")
    result = run(TOOLS / "ruff", *command, "--no-cache", planted)
    assert result.returncode == 0, result.stdout  # F821 is off for the sake of the shapes
    types = run(TOOLS / "pyrefly", "check", "--config", ROOT / "pyproject.toml", planted)
    assert "wrong" in types.stdout  # so the type checker has to see the unknown name
