"""The estimator of tags: learned, scored as seqeval does, saved, and searched over."""

import numpy as np
import pytest
import tiny_tasks
from seqeval.metrics import f1_score
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

import lowkey
from lowkey.errors import DataError

ROWS = tiny_tasks.tagged_rows(96, seed=1)
SENTENCES = [row["tokens"] for row in ROWS]
TAGS = [row["tags"] for row in ROWS]
NEW = [row["tokens"] for row in tiny_tasks.tagged_rows(30, seed=2)]
TRUTH = [row["tags"] for row in tiny_tasks.tagged_rows(30, seed=2)]


def tagger(bert, **changes):
    parameters = {
        "num_train_epochs": 6,
        "per_device_train_batch_size": 8,
        "learning_rate": 0.01,
        "device": "cpu",
    } | changes
    return lowkey.Tagger(str(bert), **parameters)


def test_it_learns_scores_and_comes_back(bert, tmp_path):
    ours = tagger(bert).fit(SENTENCES, TAGS, (NEW, TRUTH))
    assert ours.classes_.tolist() == ["B-BAD", "B-GOOD", "I-BAD", "I-GOOD", "O"]
    guesses = ours.predict(NEW)
    assert [len(row) for row in guesses] == [len(row) for row in NEW]
    assert ours.score(NEW, TRUTH) == pytest.approx(f1_score(TRUTH, guesses))
    assert ours.score(NEW, TRUTH) > 0.5
    assert ours.predict([" ".join(NEW[0])]) == guesses[:1]
    ours.save(tmp_path / "saved")
    again = lowkey.Tagger.load(tmp_path / "saved", device="cpu")
    assert again.predict(NEW) == guesses
    assert clone(again).get_params() == ours.get_params()


def test_tags_keep_their_type_and_words_are_counted(bert):
    numbers = [[int(tag != "O") for tag in row] for row in TAGS]
    truth = [[int(tag != "O") for tag in row] for row in TRUTH]
    ours = tagger(bert, num_train_epochs=1).fit(SENTENCES, numbers)
    guesses = ours.predict(NEW)
    assert {type(tag) for row in guesses for tag in row} == {int}
    flat = np.concatenate([*map(np.array, guesses)]) == np.concatenate([*map(np.array, truth)])
    assert ours.score(NEW, truth) == pytest.approx(flat.mean())


def test_cross_validation_works_and_mistakes_are_told(bert):
    assert len(cross_val_score(tagger(bert, num_train_epochs=1), SENTENCES, TAGS, cv=2)) == 2
    with pytest.raises(DataError, match="tags"):
        tagger(bert).fit(SENTENCES, [row[1:] for row in TAGS])
    with pytest.raises(DataError, match="have the tag"):
        tagger(bert).fit(SENTENCES, [["O"] * len(row) for row in TAGS])
