import json

import pytest

from lowkey.data.answer_places import ANSWER_COLUMNS, check_answers
from lowkey.data.config import DataConfig
from lowkey.data.sources import read_rows
from lowkey.errors import DataError

CONTEXT = "The Nile is in Africa. The Nile is long."
QUESTIONS = [
    {
        "id": "q1",
        "question": "Where is the Nile?",
        "answers": [
            {"text": "Africa", "answer_start": 15},
            {"text": "in Africa", "answer_start": 12},
        ],
        "is_impossible": False,
    },
    {
        "id": "q2",
        "question": "Where is the Rhine?",
        "answers": [],
        "plausible_answers": [{"text": "Africa", "answer_start": 15}],
        "is_impossible": True,
    },
]
SQUAD = {
    "version": "v2.0",
    "data": [{"title": "Nile", "paragraphs": [{"context": CONTEXT, "qas": QUESTIONS}]}],
}
FLAT = [
    {
        "question": "Where is the Nile?",
        "context": CONTEXT,
        "answers": {"text": ["Africa", "in Africa"], "answer_start": [15, 12]},
    },
    {
        "question": "Where is the Rhine?",
        "context": CONTEXT,
        "answers": {"text": [], "answer_start": []},
    },
]


def read(path, **config):
    return read_rows(str(path), DataConfig(**config), ANSWER_COLUMNS, key="data.train")


@pytest.mark.parametrize("form", ["nested", "jsonl", "parquet"])
def test_all_forms_are_the_same_rows(tmp_path, form):
    if form == "nested":
        path = tmp_path / "a.json"
        path.write_text(" \n" + json.dumps(SQUAD, indent=1))
    elif form == "jsonl":
        path = tmp_path / "a.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in FLAT))
    else:
        import datasets

        path = tmp_path / "a.parquet"
        datasets.Dataset.from_list(FLAT).to_parquet(str(path))
    rows = read(path)
    assert list(rows.column("question")) == ["Where is the Nile?", "Where is the Rhine?"]
    assert list(rows.column("context")) == [CONTEXT] * 2
    assert list(rows.column("answers.text")) == [["Africa", "in Africa"], []]
    assert list(rows.column("answers.answer_start")) == [[15, 12], []]
    check_answers(rows)
    assert rows.where(1) == f"{path}{':2' if form == 'jsonl' else ' row 2'}"


def changed(change):
    document = json.loads(json.dumps(SQUAD))
    change(document["data"][0]["paragraphs"][0])
    return document


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (
            lambda p: p.pop("context"),
            'a.json: data[0].paragraphs[0]: "context" must be a text, got ',
        ),
        (
            lambda p: p["qas"][1].update(answers=[{"text": "x", "answer_start": 0}]),
            "a.json: data[0].paragraphs[0].qas[1]: is_impossible is true, but there are answers",
        ),
        (
            lambda p: p["qas"][0]["answers"][1].pop("text"),
            'a.json: data[0].paragraphs[0].qas[0].answers[1]: "text" must be a text, got ',
        ),
        (
            lambda p: p["qas"][0].pop("answers"),
            'data[0].paragraphs[0].qas[0]: "answers" must be a l',
        ),
        (
            lambda p: p["qas"][0]["answers"][1].pop("answer_start"),
            'a.json row 1: "answers.answer_start" must be a list of whole numbers from 0, got ',
        ),
        (
            lambda p: p["qas"][0]["answers"][0].update(text=""),
            'a.json row 1: "answers.text" must be a list of texts, none of them empty',
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_place(tmp_path, monkeypatch, change, error):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.json").write_text(json.dumps(changed(change)))
    with pytest.raises(DataError) as caught:
        read("a.json")
    assert error in str(caught.value)


@pytest.mark.parametrize(
    ("text", "start", "error"),
    [
        ("Africa", 3, 'the answer "Africa" is not in the context at character 3, where " Nile " s'),
        ("Africa", 3, "— set answer_start to 15"),
        ("The Nile", 3, "— set answer_start to 0 or 23"),
        ("africa", 15, '— write it as the context has it, "Africa", and set answer_start to 15'),
        ("Asia", 15, "— write it as the context has it, or leave out the row"),
        ("Africa", 99, 'is not in the context at character 99, where "" stands — set answer_star'),
        ("i", 0, "— it begins at 6 other characters; correct answer_start"),
    ],
)
def test_an_answer_that_is_not_where_it_is_said_to_be_is_refused(tmp_path, text, start, error):
    rows = [FLAT[1], FLAT[0] | {"answers": {"text": [text], "answer_start": [start]}}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError) as caught:
        check_answers(read(tmp_path / "a.jsonl"))
    assert "a.jsonl:2: " in str(caught.value)
    assert error in str(caught.value)


def test_single_answers_and_none_at_all_need_no_list(tmp_path):
    rows = [
        FLAT[0] | {"answers": {"text": "Africa", "answer_start": 15}},
        FLAT[0] | {"answers": {"text": None, "answer_start": None}},
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read(tmp_path / "a.jsonl")
    assert list(found.column("answers.text")) == [["Africa"], []]
    assert list(found.column("answers.answer_start")) == [[15], []]


def test_answers_without_as_many_places_are_refused(tmp_path):
    row = FLAT[0] | {"answers": {"text": ["Africa"], "answer_start": []}}
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    with pytest.raises(DataError, match=r"a\.jsonl:1: 1 answers\.text and 0 answers\.answer_start"):
        read(tmp_path / "a.jsonl")


def test_other_objects_are_no_squad(tmp_path):
    (tmp_path / "a.json").write_text('{"question": "a"}')
    with pytest.raises(DataError, match="not a JSON array"):
        read(tmp_path / "a.json")
