import dataclasses
import json

import numpy as np
import tiny_tasks

from lowkey.data.config import DataConfig
from lowkey.data.sources import read_rows
from lowkey.experiments.baseline import tfidf_logistic


def rows(tmp_path, lines, name):
    tiny_tasks.write_jsonl(tmp_path / name, lines)
    return read_rows(str(tmp_path / name), DataConfig(), ("text", "label"), key="data.train")


def labelled(tmp_path, count, seed):
    return rows(tmp_path, tiny_tasks.labelled_rows(count, seed), f"{seed}.jsonl")


def test_words_that_decide_are_found(tmp_path):
    found = tfidf_logistic(labelled(tmp_path, 200, 1), labelled(tmp_path, 80, 2))
    assert found.scores.keys() == {"accuracy", "f1_macro"}
    assert found.scores["accuracy"].value > 0.95
    assert found.scores["accuracy"].n == 80


def test_labels_by_chance_are_not(tmp_path):
    lines = tiny_tasks.labelled_rows(200, 1)
    shuffled = np.random.default_rng(0).permutation([line["label"] for line in lines])
    lines = [line | {"label": str(name)} for line, name in zip(lines, shuffled, strict=True)]
    found = tfidf_logistic(rows(tmp_path, lines, "train.jsonl"), labelled(tmp_path, 80, 2))
    assert found.scores["accuracy"].value < 0.75


def test_the_same_rows_give_the_same_baseline(tmp_path):
    train, test = labelled(tmp_path, 100, 1), labelled(tmp_path, 50, 2)
    first, second = (
        dataclasses.replace(tfidf_logistic(train, test), seconds=0.0) for _ in range(2)
    )
    assert first == second


def test_costs_are_counted(tmp_path):
    lines = [{"text": "red fox", "label": "x"}, {"text": "blue fox", "label": "y"}] * 3
    train = rows(tmp_path, lines, "train.jsonl")
    found = tfidf_logistic(train, train)
    terms = ["blue", "blue fox", "fox", "red", "red fox"]
    assert found.parameters == len(terms) + 1
    assert found.disk_bytes > len(json.dumps(terms))
    assert found.seconds > 0


def test_the_words_of_the_test_set_are_not_learned(tmp_path):
    """The vocabulary is that of the training rows."""
    train = labelled(tmp_path, 60, 1)
    more = [{"text": f"word{i}", "label": "positive"} for i in range(50)]
    plain = tfidf_logistic(train, labelled(tmp_path, 20, 2))
    other = tfidf_logistic(train, rows(tmp_path, more, "test.jsonl"))
    assert plain.parameters == other.parameters
    assert plain.disk_bytes == other.disk_bytes
