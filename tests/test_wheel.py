"""The wheel is complete: what users install works without this folder."""

import gzip
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import tiny_tasks

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, folder: Path) -> str:
    """Runs a program far from this folder and returns what it printed."""
    environment = {name: v for name, v in os.environ.items() if not name.startswith("PYTHON")}
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
    return result.stdout


def project_files() -> Sequence[str]:
    """What a fresh clone holds: nothing ignored, nothing built."""
    if not (ROOT / ".git").exists():
        pytest.skip("which files belong to the project is known only in a git checkout")
    command = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return [name for name in run(*command, folder=ROOT).split("\0") if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clone")
    for name in project_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    run(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "out", folder=folder
    )
    (built,) = (folder / "out").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_file_of_the_package_is_in_the_wheel(contents: set[str]) -> None:
    package = {n.removeprefix("src/") for n in project_files() if n.startswith("src/lowkey/")}
    assert package - contents == set()


def test_the_wheel_holds_the_package_and_nothing_else(contents: set[str]) -> None:
    assert {name.split("/")[0].split("-")[0] for name in contents} == {"lowkey"}
    assert not {name for name in contents if "__pycache__" in name}


SPLITS = ("train.jsonl.gz", "validation.jsonl.gz", "test.jsonl.gz")


@pytest.mark.parametrize(
    "name",
    [
        "py.typed",
        *(f"recipes/{n}.yaml" for n in ("classify", "tag", "answer", "translate", "sentiment")),
        "recipes/pronounce.yaml",
        *(f"recipes/data/pronounce/{name}" for name in (*SPLITS, "README.md", "NOTICE")),
        *(f"recipes/data/sentiment/{name}" for name in (*SPLITS, "README.md", "NOTICE")),
    ],
)
def test_what_is_not_code_is_in_the_wheel(contents: set[str], name: str) -> None:
    assert f"lowkey/{name}" in contents


def test_the_licences_are_in_the_wheel(contents: set[str]) -> None:
    licences = {n.rsplit("/", 1)[1] for n in contents if ".dist-info/licenses/" in n}
    assert licences == {"LICENSE", "NOTICE", "THIRD_PARTY_NOTICES.md"}


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that holds the wheel; its dependencies are borrowed.

    A path in a ``.pth`` file adds the packages of this environment but not its editable installs,
    so that lowkey can only come from the wheel.
    """
    environment = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", environment, folder=environment)
    programs = environment / ("Scripts" if os.name == "nt" else "bin")
    find = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(run(programs / "python", "-c", find, folder=environment).strip())
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "borrowed.pth").write_text("\n".join(sorted(borrowed)) + "\n")
    pip = (sys.executable, "-m", "pip", "--python", programs / "python", "install", "--no-deps")
    run(*pip, "--no-index", "--ignore-installed", wheel, folder=environment)
    return programs


def test_the_installed_package_is_the_wheel(installed: Path) -> None:
    found = run(
        installed / "python", "-c", "import lowkey; print(lowkey.__file__)", folder=installed
    )
    assert Path(found.strip()).is_relative_to(installed.parent)


def test_the_installed_package_finds_its_data(installed: Path) -> None:
    program = (
        "from importlib.resources import files\n"
        "data = files('lowkey') / 'recipes' / 'data' / 'sentiment' / 'test.jsonl.gz'\n"
        "print(data.read_bytes().hex())"
    )
    packed = bytes.fromhex(run(installed / "python", "-c", program, folder=installed))
    assert gzip.decompress(packed).count(b"\n") == 592


def test_the_installed_program_starts(installed: Path) -> None:
    assert "finetune" in run(installed / "lowkey", "--help", folder=installed)


def test_the_installed_program_fine_tunes(installed: Path, tmp_path: Path) -> None:
    tiny_tasks.write_tasks(tmp_path)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("data: {train: data/train.jsonl}\nmodel: {path: bert}\n")
    settings = ("--set", "train.max_steps=3", "--set", "track=[jsonl]")
    command = ("finetune", "--config", recipe, "--out", "run", *settings)
    run(installed / "lowkey", *command, folder=tmp_path)
    said = run(installed / "lowkey", "predict", "run", "a text", "--json", folder=tmp_path)
    assert set(json.loads(said)) == {"label", "scores"}


@pytest.mark.slow
@pytest.mark.network
def test_the_declared_dependencies_suffice(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "empty", folder=tmp_path)
    programs = tmp_path / "empty" / ("Scripts" if os.name == "nt" else "bin")
    pip = (programs / "python", "-m", "pip", "install", "--constraint", ROOT / "constraints.txt")
    run(*pip, wheel, folder=tmp_path)
    assert "finetune" in run(programs / "lowkey", "--help", folder=tmp_path)
