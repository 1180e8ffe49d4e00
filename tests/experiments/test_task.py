import json

import pytest

from lowkey.data.config import DataConfig
from lowkey.data.sources import read_rows
from lowkey.errors import DataError
from lowkey.experiments.task import choose_task

SINGLE = {"text": "a", "label": "x"}
PAIR = SINGLE | {"text_pair": "b"}
NUMBER = SINGLE | {"label": 0.5}


@pytest.mark.parametrize(
    ("wanted", "row", "task"),
    [
        ("auto", SINGLE, "classify"),
        ("auto", PAIR, "pair"),
        ("auto", NUMBER, "regress"),
        ("classify", SINGLE, "classify"),
        ("classify", NUMBER, "classify"),
        ("classify", PAIR, "pair"),
        ("pair", PAIR, "pair"),
        ("regress", NUMBER, "regress"),
        ("regress", PAIR, "regress"),
    ],
)
def test_the_task_is_what_was_asked_for_or_what_the_columns_say(wanted, row, task, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    rows = read_rows(str(path), DataConfig(), ("text", "label"), key="data.train")
    choice = choose_task(wanted, rows)
    assert choice.task == task
    assert choice.reason.startswith("asked for") is (wanted != "auto")


def test_pairs_of_single_texts_are_refused(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(SINGLE) + "\n")
    rows = read_rows(str(path), DataConfig(), ("text", "label"), key="data.train")
    with pytest.raises(DataError, match=r'has no column "text_pair" — map it with data\.columns'):
        choose_task("pair", rows)
