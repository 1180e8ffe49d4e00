import pytest

from lowkey.data.config import DataConfig
from lowkey.data.conll_rows import parse_conll
from lowkey.data.sources import read_rows
from lowkey.errors import DataError

# Columns as in the data of the shared task of 2003.
TEXT = """\
-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O

Peter NNP B-NP B-PER
Blackburn NNP I-NP I-PER
"""


@pytest.mark.parametrize("text", [TEXT, TEXT.replace(" ", "\t"), TEXT.replace("\n", "\r\n")])
def test_sentences_are_what_stands_between_blank_lines(text, tmp_path):
    path = tmp_path / "train.conll"
    path.write_bytes(text.encode())
    rows = read_rows(str(path), DataConfig(), ("tokens", "tags"), key="data.train")
    assert list(rows.column("tokens")) == [["EU", "rejects"], ["Peter", "Blackburn"]]
    assert list(rows.column("tags")) == [["B-ORG", "O"], ["B-PER", "I-PER"]]
    assert rows.where(1) == f"{path}:6"


def test_another_column_can_be_the_tags(tmp_path):
    path = tmp_path / "train.txt"
    path.write_text(TEXT)
    config = DataConfig(format="conll", columns={"tags": "2"})
    rows = read_rows(str(path), config, ("tokens", "tags"), key="data.train")
    assert list(rows.column("tags")) == [["NNP", "VBZ"], ["NNP", "NNP"]]


@pytest.mark.parametrize("separator", ["\t", "  "])
def test_a_word_may_hold_spaces_only_between_tabs(separator):
    table = parse_conll(f"New York{separator}X\n", "a")
    words = [["New York"]] if separator == "\t" else [["New"]]
    assert table.column("tokens") == words


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("EU\n", "a:1: one column; a word and its tag are needed"),
        ("\nEU O\nrejects\n", "a:3: one column"),
        ("EU O\nrejects VBZ O\n", "a:2: 3 columns, the lines before have 2"),
    ],
)
def test_a_line_with_too_few_or_too_many_columns_is_named(text, what):
    with pytest.raises(DataError) as caught:
        parse_conll(text, "a")
    assert what in str(caught.value)


def test_words_alone_make_no_rows(tmp_path):
    path = tmp_path / "train.conll"
    path.write_text("-DOCSTART- O\n\n")
    with pytest.raises(DataError, match="holds no rows"):
        read_rows(str(path), DataConfig(), ("tokens", "tags"), key="data.train")
