"""Two files of lines that belong together."""

import gzip

import pytest

from lowkey.data.config import DataConfig
from lowkey.data.parallel_files import lines_of, parallel_names
from lowkey.data.sources import read_rows
from lowkey.errors import ConfigError, DataError, LowkeyError, MissingInputError

SOURCES = ["Guten Tag.", "Wie spät ist es?", "Nein\u2028doch."]
TARGETS = ["Good day.", "What time is it?", "No \x0b yes."]


def write(folder, sources=SOURCES, targets=TARGETS, ending=""):
    for language, texts in (("de", sources), ("en", targets)):
        data = "".join(f"{text}\n" for text in texts).encode()
        path = folder / f"train.{language}{ending}"
        path.write_bytes(gzip.compress(data) if ending == ".gz" else data)
    return f"{folder}/train.{{de,en}}{ending}"


def read(source, required=("source", "target"), **settings):
    return read_rows(source, DataConfig(**settings), required, key="data.train")


def message(*args, **settings):
    with pytest.raises(LowkeyError) as caught:
        read(*args, **settings)
    return caught.value.exit_code, str(caught.value)


@pytest.mark.parametrize("ending", ["", ".gz", ".txt"])
def test_line_i_of_one_goes_with_line_i_of_the_other(tmp_path, ending):
    rows = read(write(tmp_path, ending=ending))
    assert rows.column("source") == SOURCES
    assert rows.column("target") == TARGETS
    assert rows.where(1, "target") == f"{tmp_path}/train.en{ending}:2"


def test_the_braces_say_which_side_is_which(tmp_path):
    write(tmp_path)
    rows = read(f"{tmp_path}/train.{{en,de}}")
    assert (rows.column("source"), rows.column("target")) == (TARGETS, SOURCES)


def test_the_rest_of_the_name_may_differ_in_any_part(tmp_path):
    write(tmp_path)
    assert len(read(f"{{{tmp_path}/train.de,{tmp_path}/train.en}}")) == 3


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_the_encoding_is_the_recipe_s(tmp_path, encoding):
    for language in ("de", "en"):
        (tmp_path / f"train.{language}").write_bytes("wie spät\r\nja".encode(encoding))
    rows = read(f"{tmp_path}/train.{{de,en}}", encoding=encoding)
    assert rows.column("target") == ["wie spät", "ja"]


def test_a_line_ends_at_a_line_feed_and_nowhere_else():
    assert lines_of("a\r\n\nb\u2028c\x0cd\re\n") == ["a", "", "b\u2028c\x0cd\re"]
    assert lines_of("a") == lines_of("a\n") == ["a"]
    assert lines_of("\n") == [""]


def test_other_names_are_no_pair():
    assert parallel_names("corpus/train.jsonl", "data.train") is None
    assert parallel_names("{a,b}", "data.train") == ("a", "b")


@pytest.mark.parametrize("braces", ["{de}", "{de,en,fr}", "{}", "{de,de}"])
def test_braces_hold_two_names(braces):
    with pytest.raises(ConfigError, match=r"^data\.train: train\..* does not name two files"):
        read(f"train.{braces}")


def test_different_numbers_of_lines_are_counted_and_the_slip_is_named(tmp_path):
    texts = [("ja " * (1 + i * i % 17)).strip() for i in range(1200)]
    source = write(tmp_path, texts, texts[:700] + texts[701:])
    code, said = message(source)
    assert code == 65
    assert said == (
        f"{tmp_path}/train.de has 1,200 lines, {tmp_path}/train.en has 1,199; they must match line"
        " by line — by the lengths of the texts they probably slip out of step near line 701"
    )


def test_lines_left_over_at_the_end_are_called_so(tmp_path):
    _, said = message(write(tmp_path, [*SOURCES, "Ende."], TARGETS))
    assert "the lines from 4 on have no counterpart" in said


def test_an_empty_side_names_its_own_file_and_line(tmp_path):
    source = write(tmp_path, SOURCES, [TARGETS[0], "  ", TARGETS[2]])
    assert message(source) == (
        65,
        f'1 row has an empty "target" (first: {tmp_path}/train.en:2)'
        " — delete them or set data.empty: drop",
    )
    rows = read(source, empty="drop")
    assert rows.column("source") == [SOURCES[0], SOURCES[2]]
    assert rows.where(1, "source") == f"{tmp_path}/train.de:3"


def test_what_else_can_be_wrong_is_one_line(tmp_path):
    source = write(tmp_path)
    with pytest.raises(MissingInputError, match=r"no such file .*train\.fr — did you mean"):
        read(source.replace("en", "fr"))
    with pytest.raises(ConfigError, match=r"is read as csv — leave data\.format at auto"):
        read(source, format="csv")
    (tmp_path / "a.csv").write_text("x")
    (tmp_path / "b.csv").write_text("y")
    with pytest.raises(ConfigError, match=r"is read as csv"):
        read(f"{tmp_path}/{{a,b}}.csv")
    with pytest.raises(DataError, match=r'no column "text"; its columns are: source, target'):
        read(source, required=("text", "label"))
    (tmp_path / "train.en").write_text("")
    with pytest.raises(DataError, match=r"train\.en is empty \(0 bytes\) — expected one text per"):
        read(source)


def test_a_file_whose_name_holds_braces_is_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a{b,c}.jsonl").write_text('{"source": "x", "target": "y"}\n')
    assert read("a{b,c}.jsonl").column("target") == ["y"]
