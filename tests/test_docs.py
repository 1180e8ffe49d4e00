"""The words are true: examples run and print what they say, quotations and links hold."""

import ast
import contextlib
import doctest
import importlib
import importlib.util
import io
import pkgutil
import re
from pathlib import Path
from typing import Any

import matplotlib
import pytest
import tiny
import typer
from documents import (
    ROOT,
    SHELLS,
    Block,
    blocks,
    broken,
    commands,
    is_quoted_from,
    links,
    named_files,
    pages,
    skeleton,
    wrong_output,
)
from pipelines import bundles

import lowkey
from lowkey.cli.program import VERBS, app
from lowkey.cli.starting import RecipeName, recipe_text
from lowkey.config import load_recipe
from lowkey.data.config import DataConfig
from lowkey.data.sources import read_rows
from lowkey.errors import LowkeyError
from lowkey.experiments.compare_config import CompareRecipe
from lowkey.experiments.config import FinetuneRecipe, TranslationRecipe

MODULES = sorted(m.name for m in pkgutil.walk_packages(lowkey.__path__, "lowkey."))
PICTURES = ROOT / "docs" / "concepts" / "pictures"
RECIPES = {"finetune": FinetuneRecipe, "train": TranslationRecipe, "compare": CompareRecipe}
COLUMNS = ("source target", "tokens tags", "question context", "text label")
EACH_PAGE = pytest.mark.parametrize("page", pages(), ids=lambda p: p.relative_to(ROOT).as_posix())


@pytest.mark.parametrize("name", [m for m in MODULES if not m.endswith("__main__")])
def test_the_examples_of_a_module_run(name: str) -> None:
    module = importlib.import_module(name)
    found = [test for test in doctest.DocTestFinder().find(module) if test.examples]
    written = [
        node
        for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and ">>> " in (ast.get_docstring(node) or "")
    ]
    assert len(found) == len(written)  # a decorator can hide an example from doctest
    runner = doctest.DocTestRunner()
    for test in found:
        assert runner.run(test).failed == 0, test.name


def save_model(run: Path) -> None:
    """Writes a tiny model where a page expects a trained one."""
    from lowkey.data.tokenizer import TextTokenizer
    from lowkey.data.tokenizer_training import train_tokenizer
    from lowkey.models.config import TransformerConfig
    from lowkey.models.transformer import Transformer
    from lowkey.pipelines.bundle import Facts
    from lowkey.pipelines.classifier import TextClassifier
    from lowkey.pipelines.translator import Translator

    best = run / "best"
    best.mkdir(parents=True)
    (run / "config.yaml").touch()
    if re.search("pronounce|translat|de-en", run.name):
        tokenizer = train_tokenizer(["a b c"], kind="whitespace", vocab_size=8)
        sizes = {"d_model": 8, "num_heads": 2, "d_ff": 8}
        vocabulary = {f"{side}_vocab_size": tokenizer.vocab_size for side in ("source", "target")}
        layers = {"num_encoder_layers": 1, "num_decoder_layers": 1}
        model = Transformer(TransformerConfig(**sizes, **vocabulary, **layers))
        decode = {"num_beams": 1, "length_penalty": 1.0, "max_length": 4}
        facts = Facts(kind="translation", task="translate", method="scratch", decode=decode)
        Translator(model, tokenizer, tokenizer, facts).save(best)
        return
    tiny.write_tokenizer(best)
    facts = Facts(
        kind="classification", task="classify", method="full", labels=["negative", "positive"]
    )
    TextClassifier(tiny.classifier(), TextTokenizer.load(best), facts).save(best)


@EACH_PAGE
def test_python_blocks_run_and_print_what_they_say(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = blocks(page)
    code = "".join(b.text for b in found if b.language == "python" and not b.is_quotation)
    for run in sorted(set(re.findall(r'load\("(runs/[^"]+)"\)', code))):
        save_model(Path(run))
    bundles.write_what_is_opened(code)
    assert wrong_output(found) == []


def test_a_wrong_output_is_seen() -> None:
    page = Path("page.md")
    said = Block(page, 5, "text", None, "3\n", "\n\n")
    code = Block(page, 1, "python", None, "print(1 + 1)\n", "")
    assert len(wrong_output([code, said])) == 1
    assert wrong_output([code, Block(page, 5, "text", None, "2\n", "\n\n")]) == []


# Commands and recipes


def check_command(words: list[str], folder: Path) -> None:
    """Parses one command as the program does, the recipe with its overrides included."""
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        if words[1] == "results":  # what follows names benchmarks
            targets += [path.stem for path in (ROOT / "benchmarks").glob("*.py")]
        assert {word for word in words[1:] if "=" not in word} <= set(targets), words
    if words[0] != "lowkey":
        return
    program = typer.main.get_command(app)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(typer.Exit):
        if words[1].startswith("-"):
            program.make_context("lowkey", words[1:])
            return
        verb: Any = program.commands[words[1]]  # type: ignore[attr-defined] # it is a group
        parameters = verb.make_context(words[1], words[2:]).params
        if words[1] in RECIPES and parameters["config"]:
            file = folder / parameters["config"]
            if not file.exists():  # then it is one that `lowkey init` writes
                file.write_text(recipe_text(RecipeName(file.stem)), encoding="utf-8")
            load_recipe(RECIPES[words[1]], file, parameters["settings"] or [])


@EACH_PAGE
def test_commands_parse_and_recipes_load(page: Path, tmp_path: Path) -> None:
    found = blocks(page)
    for block in found:
        if block.title and block.language in ("yaml", "json"):
            (tmp_path / block.title).write_text(block.text, encoding="utf-8")
    for block in found:
        if block.language == "yaml" and block.title:
            cls = TranslationRecipe if "metrics:" in block.text else FinetuneRecipe
            cls = CompareRecipe if "compare:" in block.text else cls
            load_recipe(cls, tmp_path / block.title)
        if block.language == "json" and block.title:
            columns = next(c.split() for c in COLUMNS if f'"{c.split()[0]}":' in block.text)
            read_rows(str(tmp_path / block.title), DataConfig(), columns, key="data.train")
        if block.language in SHELLS:
            for words in commands(block):
                check_command(words, tmp_path)


def test_the_examples_of_the_help_parse(tmp_path: Path) -> None:
    for verbs in VERBS.values():
        for example in (line for lines in verbs.values() for line in lines):
            block = Block(Path("help"), 1, "console", None, example, "")
            for words in commands(block):
                check_command(words, tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "lowkey fintune",
        "lowkey predict runs/a --flie x",
        "cat x | lowkey finetune --config classify.yaml --set train.sed=7 > log",
        "make dmo",
    ],
)
def test_a_wrong_command_is_seen(line: str, tmp_path: Path) -> None:
    block = Block(Path("page.md"), 1, "console", None, line, "")
    *_, words = commands(block)
    with pytest.raises((KeyError, AssertionError, LowkeyError, typer.exceptions.TyperException)):
        check_command(words, tmp_path)


# Links, names and quotations


@EACH_PAGE
def test_links_lead_somewhere(page: Path) -> None:
    assert [problem for target in links(page) if (problem := broken(page, target))] == []


def test_a_broken_link_is_seen() -> None:
    page = ROOT / "docs" / "start.md"
    wrong = ["nowhere.md", "start.md#nowhere", "reference/nn.md#lowkey.nn.layout.Nothing"]
    assert all(broken(page, target) for target in wrong)


@EACH_PAGE
def test_named_files_and_tests_exist(page: Path) -> None:
    for file, test in named_files(page):
        assert (ROOT / file).exists(), f"{page} names {file}"
        if test:
            assert f"def {test}(" in (ROOT / file).read_text("utf-8"), f"{page} names {test}"


@EACH_PAGE
def test_quoted_lines_stand_in_the_source(page: Path) -> None:
    for block in blocks(page):
        if block.is_quotation:
            source = (ROOT / str(block.title)).read_text(encoding="utf-8")
            assert is_quoted_from(block.text, source), block.where


def test_a_quotation_that_has_drifted_is_seen() -> None:
    source = "def f(x):\n    y = x\n    return y\n"
    assert is_quoted_from("y = x\nreturn y\n", source)
    assert not is_quoted_from("y = x\nreturn x\n", source)
    assert not is_quoted_from("= x\n", source)


# Pictures


def test_pictures_are_what_the_script_draws(tmp_path: Path) -> None:
    script = ROOT / "docs" / "pictures.py"
    spec = importlib.util.spec_from_file_location("pictures", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(tmp_path)
    drawn = {path.name for path in tmp_path.iterdir()}
    shown = [(page.parent / link).resolve() for page in pages() for link in links(page)]
    used = {path.name for path in shown if path.parent == PICTURES}
    assert drawn == {path.name for path in PICTURES.iterdir()} == used
    pinned = f"matplotlib=={matplotlib.__version__}\n"
    if pinned not in (ROOT / "constraints.txt").read_text("utf-8"):
        return  # another release places letters elsewhere
    for name in drawn:
        (words, numbers), (now, values) = (
            skeleton((folder / name).read_text("utf-8")) for folder in (PICTURES, tmp_path)
        )
        assert now == words, f"{name} is another picture: run python docs/pictures.py"
        assert values == pytest.approx(numbers, abs=0.5, rel=0.01), name
