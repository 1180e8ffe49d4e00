import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowkey import errors
from lowkey.errors import ConfigError, LowkeyError, did_you_mean, escaped, shown


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({}, "wrong"),
        ({"where": "a.yaml:3"}, "a.yaml:3: wrong"),
        ({"fix": "mend it"}, "wrong — mend it"),
        ({"where": "--set a.b", "fix": "mend it"}, "--set a.b: wrong — mend it"),
    ],
)
def test_a_message_has_place_problem_and_remedy(parts: dict[str, str], message: str) -> None:
    assert str(ConfigError("wrong", **parts)) == message


def test_every_kind_has_the_exit_code_of_the_contract() -> None:
    codes = {
        "LowkeyError": 70,
        "ConfigError": 2,
        "DataError": 65,
        "MissingInputError": 66,
        "UnavailableError": 69,
        "CannotWriteError": 74,
        "StoppedError": 75,
    }
    assert {name: getattr(errors, name).exit_code for name in codes} == codes


@given(st.text())
def test_a_message_is_one_printable_line(text: str) -> None:
    assert str(LowkeyError(text, where=text, fix=text)).isprintable()


def test_control_and_direction_characters_are_shown_as_escapes() -> None:
    assert escaped("a\x1b[31m\n\u202eb\ud800") == r"a\x1b[31m\n\u202eb\ud800"
    assert escaped("naïve 日本語") == "naïve 日本語"


def test_the_nearest_name_is_found() -> None:
    names = ["learning_rate", "seed", "Label"]
    assert did_you_mean("learning_rte", names) == "learning_rate"
    assert did_you_mean("LABEL", names) == "Label"
    assert did_you_mean("zzz", names) is None
    assert did_you_mean("seed", []) is None


def test_a_foreign_value_is_cut_to_size() -> None:
    assert shown({"a": [1, None, "é"]}) == '{"a": [1, null, "é"]}'
    assert len(shown("x" * 10_000, limit=60)) == 60
    assert len(shown("x" * 58, limit=60)) == 60
    assert shown("x" * 58, limit=60).endswith('"')
