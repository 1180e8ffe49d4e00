import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import lowkey
from lowkey.cli import main
from lowkey.cli.program import VERBS, app


def test_the_program_starts_without_torch_and_as_a_module() -> None:
    program = (
        "import sys\n"
        "from lowkey.cli import main\n"
        "codes = [main([]), main(['train', '--help']), main(['--version'])]\n"
        "slow = [m for m in ('torch', 'numpy', 'datasets', 'matplotlib') if m in sys.modules]\n"
        "print(codes, slow)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stdout.splitlines()[-2:] == [f"lowkey {lowkey.__version__}", "[0, 0, 0] []"]
    assert all(name in result.stdout for name in ("finetune", "--resume", "KEY=VALUE"))
    module = [sys.executable, "-m", "lowkey", "--version"]
    result = subprocess.run(module, capture_output=True, text=True)
    assert result.stdout == f"lowkey {lowkey.__version__}\n"


EXAMPLES = [example for verbs in VERBS.values() for lines in verbs.values() for example in lines]


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_the_help_are_commands(example: str) -> None:
    command = re.search(r"lowkey ([^>]*)", example)
    assert command is not None
    words = shlex.split(command[1])
    program = typer.main.get_command(app)
    with program.make_context("lowkey", words) as context:
        name, verb, rest = program.resolve_command(context, words)
        verb.make_context(name, rest, parent=context)


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        (["trian"], "no such command 'trian'. Did you mean 'train'?"),
        (["train", "--confg", "x"], "no such option: --confg — did you mean --config?"),
        (["train"], "invalid value for --config: give a recipe, or --resume and --out"),
        (["predict"], "missing argument 'RUN'"),
        (["predict", "run"], "invalid value for TEXT: give texts, or --file FILE"),
        (["predict", "run", "a", "--file", "b"], "give texts or a file, not both"),
        (["export", "run", "--out", "x"], "missing option '--format'. Choose from: peft, merged"),
        (["init", "clasify"], "'clasify' is not one of 'classify', 'tag'"),
        (["predict", "run", "\x1b[31m", "--nope"], "no such option: --nope"),
    ],
)
def test_a_wrong_command_line_is_told_in_a_line_and_a_hint(
    argv: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    out, err = capsys.readouterr()
    first, hint = err.splitlines()
    assert out == ""
    assert first.startswith("error: ")
    assert error in first
    assert re.fullmatch(r"hint: see lowkey( \w+)? --help", hint)


def test_a_recipe_for_the_other_verb_is_recognised(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--config", "classify.yaml", "--out", "x"]) == 2
    proposal = "classify.yaml is a recipe for lowkey finetune — lowkey finetune --config"
    assert proposal in capsys.readouterr().err
