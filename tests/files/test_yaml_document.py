import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lowkey.errors import ConfigError, LowkeyError
from lowkey.files import parse_yaml, read_yaml


def read(folder: Path, text: str) -> object:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return read_yaml(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E3", 1000.0),
        ("-.5", -0.5),
        ("3.", 3.0),
        ("0", 0),
        ("-12", -12),
        ("010", "010"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2026-01-31", "2026-01-31"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("e5", "e5"),
        ("1e", "1e"),
        ("no", False),
        ("On", True),
        ('"no"', "no"),
        ("'1'", "1"),
        ("null", None),
        ("~", None),
        ("", None),
        ("NA", "NA"),
        ("None", "None"),
        ("nan", "nan"),
        ("=", "="),
        ("[a, 1, {b: no}]", ["a", 1, {"b": False}]),
    ],
)
def test_a_value_is_read_as_people_mean_it(text: str, value: object) -> None:
    found = parse_yaml(f"key: {text}", where="x").data["key"]
    assert (found, type(found)) == (value, type(value))


def test_keys_are_texts_and_every_line_is_known(tmp_path: Path) -> None:
    document = read(tmp_path, "# a recipe\non: 1\ndata:\n  no: [a,\n    'b']\n  1: x\n")
    assert document.data == {"on": 1, "data": {"no": ["a", "b"], "1": "x"}}
    lines = {("on",): 2, ("data",): 3, ("data", "no"): 4, ("data", "no", 1): 5, ("data", "1"): 6}
    assert lines.items() <= document.lines.items()
    assert document.texts[("data", "no", 0)] == "a"


def test_an_empty_file_is_an_empty_mapping(tmp_path: Path) -> None:
    assert read(tmp_path, "# nothing\n").data == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "train:\n  batch_size: 32\n  x: 1\n  batch_size: 8\n",
            "config.yaml:4: train.batch_size given twice (line 2: 32, line 4: 8) — delete one",
        ),
        ("a: &x 1\nb: *x\n", "config.yaml:2: not YAML (aliases"),
        ("a: !!python/object:os.system x", "config.yaml:1: not YAML (tags such as"),
        ("a: !x 1", "config.yaml:1: not YAML (tags such as"),
        ("a: 1\n\tb: 2", "config.yaml:2: not YAML (found character '\\t'"),
        ("- a\n- b", "config.yaml:1: this is"),
        ("text", "config.yaml:1: this is"),
        ("a: 1\n---\nb: 2", "config.yaml:2: not YAML"),
        ("? [a]\n: 1", "config.yaml:1: a key must be a text"),
        ("a: 1\nb: 1e999", 'config.yaml:2: "1e999" is too large'),
        ("a: 1\nb: \x07", "config.yaml:2: not YAML (the character"),
        ('a: "\\ud800"', "config.yaml:1: not YAML (half a surrogate"),
        ("a: " + "[" * 70, "config.yaml:1: not YAML (more than 64 levels"),
        ("- " * 100_000, "config.yaml:1: not YAML (more than 64 levels"),
        ("a" * 300_000, "config.yaml is larger than"),
        ("a: [1, 2", "config.yaml:1: not YAML"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        read(tmp_path, text)
    assert len(str(caught.value)) < 400


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    assert len(yaml.safe_load("\n".join(lines[:2]))["a1"]) == 9  # what the other reader does
    with pytest.raises(ConfigError, match="aliases"):
        parse_yaml("\n".join(lines), where="x")


PIECES = st.sampled_from(
    ["a", "b", ": ", ":", "\n", "  ", "- ", "[", "]", "{", "}", ",", "&x ", "*x", "!", "|", ">",
     "'", '"', "%", "---", "...", "#", "?", "1e5", "no", "\t", "\\u", "\x00", "\ufeff", "é", "~"]
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(PIECES, max_size=40).map("".join) | st.text())
def test_any_text_gives_a_value_or_one_line(text: str) -> None:
    message = ""
    try:
        parse_yaml(text, where="x")
    except LowkeyError as error:
        message = str(error)
    assert message.isprintable()
