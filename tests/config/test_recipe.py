import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from lowkey.config import Config, dump_recipe, load_recipe
from lowkey.errors import LowkeyError, MissingInputError


class Inner(Config):
    text: str = ""
    number: float = 0.0
    count: int = 0
    flag: bool = False


class Recipe(Config):
    inner: Inner = Inner()
    items: tuple[str, ...] = ()
    table: dict[str, str] = Field({})
    folder: Path | None = None
    mode: Literal["a", "b"] = "a"
    steps: int | float = Field(1, ge=0)


ODD_TEXTS = [
    "no", "On", "1e-4", "1E5", "010", "12:30:45", "2026-01-31", "null", "~", "", " a", "a ", "- a",
    "a: b", "# c", "&a", "*a", "!x", "|", ">", "%", "@", "`", "{", "[", "'", '"', "a\nb", "\n",
    "\t", "\x85", "\u2028", "\ufeff", "\x00", "\x7f", "🎉", "=", "<<",
    "1_000", "0x1F", ".inf",
]  # fmt: skip
WORDS = st.text() | st.sampled_from(ODD_TEXTS)
RECIPES = st.builds(
    Recipe,
    inner=st.builds(
        Inner,
        text=WORDS,
        number=st.floats(allow_nan=False, allow_infinity=False),
        count=st.integers(-(2**80), 2**80),
    ),
    items=st.lists(WORDS, max_size=3).map(tuple),
    table=st.dictionaries(WORDS, WORDS, max_size=3),
    folder=st.none() | st.just(Path("a b/é.tsv")),
    steps=st.integers(0, 10) | st.floats(0, 1e300),
)


def load(folder: Path, text: str, *overrides: str) -> Recipe:
    path = folder / "config.yaml"
    path.write_bytes(text.encode())
    return load_recipe(Recipe, path, overrides)


@settings(deadline=None)
@given(RECIPES)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, recipe: Recipe
) -> None:
    again = load(tmp_path_factory.mktemp("recipe"), dump_recipe(recipe))
    assert again == recipe
    assert type(again.steps) is type(recipe.steps)


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_an_odd_text_survives(tmp_path: Path, text: str) -> None:
    recipe = Recipe(inner=Inner(text=text), items=(text, text), table={text: text})
    assert load(tmp_path, dump_recipe(recipe)) == recipe


def test_a_recipe_is_written_for_people() -> None:
    text = dump_recipe(Recipe(items=("a", "no"), folder=Path("x")))
    assert text == (
        "inner:\n  text: ''\n  number: 0.0\n  count: 0\n  flag: false\n"
        "items:\n- a\n- 'no'\ntable: {}\nfolder: x\nmode: a\nsteps: 1\n"
    )


def test_overrides_win_and_the_last_one_most(tmp_path: Path) -> None:
    text = "inner:\n  count: 1\n  text: a\nitems: [x]\n"
    overrides = ["inner.count=2", "inner.count=3", "items=[y, z]", "table.k=v", "folder=/a=b"]
    recipe = load(tmp_path, text, *overrides, "inner.number=1e-4", "mode=b")
    assert recipe.inner == Inner(count=3, text="a", number=1e-4)
    assert recipe.items == ("y", "z")
    assert recipe.table == {"k": "v"}
    assert recipe.folder == Path("/a=b")
    assert recipe.mode == "b"


def test_an_override_opens_a_group_and_an_empty_one_is_null(tmp_path: Path) -> None:
    assert load(tmp_path, "inner:\nfolder: x\n", "inner.count=1", "folder=").folder is None
    assert load(tmp_path, "", "inner={count: 4}", "inner.text=a").inner == Inner(count=4, text="a")


def test_a_byte_order_mark_and_windows_lines_are_mended(tmp_path: Path) -> None:
    assert load(tmp_path, "\ufeffinner:\r\n  count: 3\r\n").inner.count == 3


@settings(deadline=None)
@given(st.text(alphabet="abinermdo: \n-[]{}'\"#&*!|>1e.~"))
def test_any_text_gives_settings_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    message = ""
    try:
        load(tmp_path_factory.mktemp("recipe"), text, "inner.count=1")
    except LowkeyError as error:
        message = str(error)
    assert message.isprintable()


def test_a_missing_recipe_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").touch()
    with pytest.raises(MissingInputError, match=r"did you mean .*config.yaml\?"):
        load_recipe(Recipe, tmp_path / "confg.yaml")


def test_settings_do_not_change_and_know_no_nan() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Inner().count = 3  # pyrefly: ignore
    with pytest.raises(ValidationError, match="finite"):
        Inner(number=float("nan"))
    with pytest.raises(ValidationError, match="extra"):
        Inner(cuont=3)


@pytest.mark.parametrize("module", ["errors", "files", "config", "runtime", "run_folder"])
def test_a_recipe_is_read_without_torch(module: str) -> None:
    program = f"import sys, lowkey.{module}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], env=os.environ, check=True)
