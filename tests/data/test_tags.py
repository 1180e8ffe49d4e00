import json

import pytest

from lowkey.data.config import DataConfig
from lowkey.data.sources import read_rows
from lowkey.data.tags import tag_ids, tag_map
from lowkey.errors import DataError


def rows(tmp_path, *records, **config):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return read_rows(str(path), DataConfig(**config), ("tokens", "tags"), key="data.train")


def row(*tags):
    return {"tokens": [f"word{i}" for i in range(len(tags))], "tags": list(tags)}


def test_tags_are_those_of_the_rows_in_order(tmp_path):
    read = rows(tmp_path, row("O", "B-PER"), row("I-PER", "O", "O"))
    tags = tag_map(read)
    assert tags.names == ("B-PER", "I-PER", "O")
    ids = tag_ids(read, tags)
    assert (ids.values.tolist(), ids.lengths.tolist()) == ([2, 0, 1, 2, 2], [2, 3])
    chosen = tag_map(read, ["O", "B-PER", "I-PER", "B-LOC"])
    assert tag_ids(read, chosen).values.tolist() == [0, 1, 2, 0, 0]
    assert tag_map(rows(tmp_path, row(10, 2), row(2, 1))).names == ("1", "2", "10")


def test_an_unknown_tag_is_named_with_its_place(tmp_path):
    tags = tag_map(rows(tmp_path, row("O", "B-PER")))
    other = rows(tmp_path, row("O"), row("O", "B-PRE"))
    with pytest.raises(DataError) as caught:
        tag_ids(other, tags)
    assert str(caught.value) == (
        f'tag "B-PRE" ({tmp_path}/rows.jsonl:2) is not among the tags B-PER, O'
        ' — did you mean "B-PER"?'
    )


def test_what_cannot_be_tags_is_refused(tmp_path):
    with pytest.raises(DataError, match=r'all 3 words of .* have the tag "O" — check data\.col'):
        tag_map(rows(tmp_path, row("O", "O"), row("O")))
    texts = [row(*(f"text {i} {j}" for j in range(5))) for i in range(10)]
    with pytest.raises(DataError, match="50 different values for 50 words; that is text"):
        tag_map(rows(tmp_path, *texts))


@pytest.mark.parametrize(
    ("record", "what"),
    [
        (row("O", "O") | {"tokens": ["a"]}, "rows.jsonl:2: 1 tokens and 2 tags — each word needs"),
        ({"tokens": [], "tags": []}, 'has an empty "tokens" (first: {}/rows.jsonl:2)'),
        (
            {"tokens": ["a", " "], "tags": ["O", "O"]},
            'rows.jsonl:2: "tokens" must be a list',
        ),
        ({"tokens": "a b", "tags": ["O", "O"]}, 'rows.jsonl:2: "tokens" must be a list'),
        ({"tokens": ["a"], "tags": "O"}, 'rows.jsonl:2: "tags" must be a list of tags'),
        ({"tokens": ["a"], "tags": [None]}, 'rows.jsonl:2: "tags" must be a list of tags'),
        ({"tokens": ["a"], "tags": [["O"]]}, 'rows.jsonl:2: "tags" must be a list of tags'),
        ({"tokens": ["\ud800"], "tags": ["O"]}, 'rows.jsonl:2: "tokens" must be a list'),
    ],
)
def test_rows_that_are_no_tagged_sentences_are_named(record, what, tmp_path):
    with pytest.raises(DataError) as caught:
        rows(tmp_path, row("O", "X"), record)
    assert what.format(tmp_path) in str(caught.value)


def test_rows_without_words_can_be_dropped(tmp_path):
    read = rows(tmp_path, row("O", "X"), {"tokens": [], "tags": []}, row("X"), empty="drop")
    assert (len(read), read.num_dropped, read.where(1)) == (2, 1, f"{tmp_path}/rows.jsonl:3")


def test_columns_of_other_names_are_pointed_at(tmp_path):
    record = {"words": ["a"], "ner_tags": ["O"]}
    with pytest.raises(DataError, match=r"set data\.columns: \{tokens: words\}"):
        rows(tmp_path, record)
    read = rows(tmp_path, record, columns={"tokens": "words", "tags": "ner_tags"})
    assert read.column("tags") == [["O"]]
    path = str(tmp_path / "rows.jsonl")
    (tmp_path / "rows.jsonl").write_text(json.dumps(row("O", "X")) + "\n")
    with pytest.raises(DataError, match="set task: tag to learn a tag for each word"):
        read_rows(path, DataConfig(), ("text", "label"), key="data.train")
