"""The mistakes people make, through the whole program: a short answer, and nothing left behind."""

import ast
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_tasks
import typer
from mistakes import COMMON, Mistake
from mistakes_with_pairs import WITH_PAIRS

from lowkey.cli import main
from lowkey.cli.program import app
from lowkey.experiments.config import FinetuneRecipe, TranslationRecipe

MISTAKES = [*COMMON, *WITH_PAIRS]
SOURCE = Path(__file__).parents[1] / "src" / "lowkey"


@pytest.fixture(scope="module")
def well(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a folder where all is well."""
    folder = tmp_path_factory.mktemp("well")
    tiny_tasks.write_tasks(folder, rows=8)
    return snapshot(folder)


def snapshot(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def lay_out(folder: Path, well: dict[str, bytes], mistake: Mistake) -> None:
    files = dict(well)
    for name, content in mistake.files.items():
        text = content(well[name].decode()) if callable(content) else content
        files[name] = text.encode() if isinstance(text, str) else text
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: f"message-{mistake.number}")
def test_a_mistake_gets_a_short_answer_and_leaves_nothing(
    mistake: Mistake,
    well: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lay_out(tmp_path, well, mistake)
    monkeypatch.chdir(tmp_path)
    before = snapshot(tmp_path)
    code = main(mistake.argv)
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if not line.startswith(("task:", "LoRA adapts"))]
    assert re.fullmatch(mistake.answer, lines[0]), err
    assert (code, out, len(lines)) == (mistake.code, "", 1)
    assert snapshot(tmp_path) == before


def test_what_can_be_told_without_torch_is(well: dict[str, bytes], tmp_path: Path) -> None:
    early = [mistake for mistake in MISTAKES if not mistake.needs_torch]
    for mistake in early:
        lay_out(tmp_path / str(mistake.number), well, mistake)
    late = next(mistake for mistake in MISTAKES if mistake.number == 34)
    lay_out(tmp_path / "34", well, late)
    program = (
        "import json, os, sys\n"
        "from lowkey.cli import main\n"
        "for folder, argv in json.load(sys.stdin):\n"
        "    os.chdir(folder)\n"
        "    print(main(argv), 'torch' in sys.modules)\n"
    )
    cases = [(str(tmp_path / str(m.number)), m.argv) for m in [*early, late]]
    result = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
    )
    said = result.stdout.splitlines()
    assert said[:-1] == [f"{mistake.code} False" for mistake in early], result.stderr
    assert said[-1] == "2 True"  # so the test does see an import of torch


# What a message proposes exists


def texts_of(file: Path) -> Iterator[str]:
    """The texts in a module that are no docstrings; in an f-string a value becomes RUN."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    inside = {id(part) for node in ast.walk(tree) for part in getattr(node, "values", [])}
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(p.value if isinstance(p, ast.Constant) else "RUN" for p in node.values)
        if isinstance(node, ast.Constant) and id(node) not in inside | alone:
            yield str(node.value)


TEXTS = [(path, text) for path in sorted(SOURCE.rglob("*.py")) for text in texts_of(path)]
PROGRAM = typer.main.get_command(app)
VERBS = PROGRAM.commands
OPTIONS = {option for one in (PROGRAM, *VERBS.values()) for p in one.params for option in p.opts}
OPTIONS.add("--help")
KEYS = {*tiny_tasks.keys_of(FinetuneRecipe), *tiny_tasks.keys_of(TranslationRecipe)}
GROUPS = "data|tokenizer|model|lora|train|decode"
# lowkey as the subject of a sentence; the names of files; options of other programs
PROSE = {"loads", "reads", "takes"}
FILES = {"model.safetensors", "tokenizer.json"}
FOREIGN_OPTIONS = {"--repo-type", "--logdir"}
# Modules of Marian and ModernBERT, which begin as our sizes do
FOREIGN_KEYS = {"model.shared", "model.encoder", "model.decoder"}
FOREIGN_KEYS |= {"model.embeddings", "model.layers", "model.final_norm"}


def not_there(text: str) -> list[str]:
    """Each verb, option and key that a text names and that there is not."""
    verbs = set(re.findall(r"\blowkey ([a-z]+)", text)) - PROSE - VERBS.keys()
    options = set(re.findall(r"(?<!\S)--[a-z][a-z-]+", text)) - OPTIONS - FOREIGN_OPTIONS
    keys = (
        set(re.findall(rf"(?<![\w.])(?:{GROUPS})\.[a-z_0-9]+", text)) - KEYS - FILES - FOREIGN_KEYS
    )
    return sorted(verbs | options | keys)


def test_every_verb_option_and_key_that_a_message_names_is_there() -> None:
    found = {
        f"{path.name}: {text}": missing for path, text in TEXTS if (missing := not_there(text))
    }
    assert found == {}


def test_a_name_that_is_not_there_is_seen() -> None:
    assert not_there("set optim.lr, or data.train: x") == []  # a foreign group is no key of ours
    assert not_there("set data.trian, or lowkey trian --confg F") == [
        "--confg",
        "data.trian",
        "trian",
    ]


# As far as a dash, a bracket or the end of the line; those without an option are prose mostly.
COMMANDS = {
    command
    for _, text in TEXTS
    for command in re.findall(rf"\blowkey (?:{'|'.join(VERBS)})\b[^—()\n]*", text)
    if " --" in command
}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_that_a_message_or_an_example_shows_is_one(command: str) -> None:
    words = shlex.split(re.split(r" > | makes ", command)[0])
    with PROGRAM.make_context("lowkey", words[1:]) as context:
        name, verb, rest = context.command.resolve_command(context, words[1:])
        verb.make_context(name, rest, parent=context)
