"""Estimators of texts under scikit-learn's own tools, and against the command line's runs."""

import json

import numpy as np
import pytest
import tiny_tasks
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import lowkey
from lowkey.config import make_recipe
from lowkey.errors import ConfigError, DataError
from lowkey.experiments.config import FinetuneRecipe
from lowkey.experiments.finetune import finetune

ROWS = tiny_tasks.labelled_rows(96, seed=1)
TEXTS = [row["text"] for row in ROWS]
LABELS = [row["label"] for row in ROWS]
NEW = [row["text"] for row in tiny_tasks.labelled_rows(40, seed=3)]
TRUTH = [row["label"] for row in tiny_tasks.labelled_rows(40, seed=3)]


def classifier(bert, **changes):
    parameters = {
        "num_train_epochs": 6,
        "per_device_train_batch_size": 8,
        "learning_rate": 0.01,
        "device": "cpu",
    } | changes
    return lowkey.TextClassifier(str(bert), **parameters)


@pytest.fixture(scope="module")
def fitted(bert):
    return classifier(bert).fit(TEXTS, LABELS)


def test_it_learns_and_scores_as_scikit_learn_does(fitted):
    assert fitted.classes_.tolist() == ["negative", "positive"]
    guesses = fitted.predict(NEW)
    assert fitted.score(NEW, TRUTH) == accuracy_score(TRUTH, guesses) > 0.9
    probabilities = fitted.predict_proba(NEW)
    assert probabilities.shape == (40, 2)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    assert (fitted.classes_[probabilities.argmax(1)] == guesses).all()
    assert fitted.predict_proba([]).shape == (0, 2)


def test_it_trains_what_the_command_line_trains(fitted, bert, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny_tasks.write_jsonl(tmp_path / "train.jsonl", ROWS)
    settings = {
        "task": "classify",
        "data.train": "train.jsonl",
        "model.path": str(bert),
        "train.learning_rate": 0.01,
        "train.num_train_epochs": 6,
        "train.per_device_train_batch_size": 8,
        "train.device": "cpu",
    }
    finetune(make_recipe(FinetuneRecipe, settings, where="test"), tmp_path / "run")
    theirs = lowkey.load(tmp_path / "run", device="cpu")
    scores = [list(answer["scores"].values()) for answer in theirs.predict(NEW)]
    np.testing.assert_array_equal(fitted.predict_proba(NEW), scores)


def test_a_clone_is_not_fitted_and_fits_to_the_same_bits(fitted):
    again = clone(fitted)
    assert again.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        again.predict(NEW)
    np.testing.assert_array_equal(
        again.fit(TEXTS, LABELS).predict_proba(NEW), fitted.predict_proba(NEW)
    )
    assert repr(again).startswith("TextClassifier(")


def test_searches_and_cross_validation_work(bert):
    untrained = classifier(bert, learning_rate=1e-8, num_train_epochs=1)
    search = GridSearchCV(untrained, {"learning_rate": [1e-8, 0.01], "r": [2]}, cv=2)
    search.set_params(estimator__num_train_epochs=6)
    search.fit(np.array(TEXTS), np.array(LABELS))
    assert search.best_params_ == {"learning_rate": 0.01, "r": 2}
    assert search.best_estimator_.pipeline_.lora_config.r == 2
    chain = make_pipeline(FunctionTransformer(lambda texts: [t.lower() for t in texts]), untrained)
    assert len(cross_val_score(chain, [text.upper() for text in TEXTS], LABELS, cv=2)) == 2


@pytest.mark.parametrize("method", ["lora", "full", "head"])
def test_what_is_saved_predicts_the_same_and_can_be_cloned(bert, method, tmp_path):
    numbers = [10 * (label == "positive") + 2 for label in LABELS]
    ours = classifier(
        bert, method=method, num_train_epochs=1, settings={"train.weight_decay": np.float64(0.01)}
    ).fit(TEXTS, numbers)
    assert ours.classes_.tolist() == [2, 12]
    assert set(ours.predict(NEW)) <= {2, 12}
    ours.save(tmp_path / "saved")
    again = lowkey.TextClassifier.load(tmp_path / "saved", device="cpu")
    np.testing.assert_array_equal(again.predict_proba(NEW), ours.predict_proba(NEW))
    np.testing.assert_array_equal(again.predict(NEW), ours.predict(NEW))
    assert again.predict(NEW).dtype == ours.predict(NEW).dtype
    assert clone(again).get_params() == {**ours.get_params(), "settings": again.settings}
    assert again.settings == {"train.weight_decay": 0.01}
    plain = lowkey.load(tmp_path / "saved", device="cpu")
    assert [int(answer["label"]) for answer in plain.predict(NEW)] == ours.predict(NEW).tolist()
    with pytest.raises(ConfigError, match="saved is not empty"):
        ours.save(tmp_path / "saved")


def test_the_run_is_kept_where_it_is_asked_for(bert, tmp_path):
    out = tmp_path / "run"
    ours = classifier(bert, num_train_epochs=1, out=out, r=3, lora_alpha=5)
    ours.fit(TEXTS, LABELS, (NEW, TRUTH))
    assert (out / "report.html").exists()
    facts = json.loads((out / "best" / "lowkey.json").read_text())
    assert facts["counts"]["validation_rows"] == 40
    again = lowkey.TextClassifier.load(out, device="cpu")
    assert again.predict(NEW).tolist() == ours.predict(NEW).tolist()
    assert (again.model, again.method, again.r, again.lora_alpha) == (str(bert), "lora", 3, 5)
    assert clone(again).fit(TEXTS, LABELS).pipeline_.lora_config.r == 3
    with pytest.raises(ConfigError, match="run already holds a run"):
        ours.fit(TEXTS, LABELS)


def test_pairs_of_texts_are_classified(bert):
    pairs = list(zip(TEXTS, TEXTS[::-1], strict=True))
    ours = classifier(bert, num_train_epochs=1).fit(pairs, LABELS)
    assert ours.pipeline_.facts.pairs
    np.testing.assert_array_equal(ours.predict_proba(np.array(pairs)), ours.predict_proba(pairs))
    with pytest.raises(DataError, match="trained on pairs"):
        ours.predict(TEXTS)
    with pytest.raises(ValueError, match="are pairs of texts and others are not"):
        ours.predict([("a", "b"), "c"])


def test_numbers_are_learned(bert, tmp_path):
    numbers = np.array([3.0 if label == "positive" else -1.0 for label in LABELS])
    truth = [3.0 if label == "positive" else -1.0 for label in TRUTH]
    parameters = {"num_train_epochs": 8, "learning_rate": 0.01, "device": "cpu"}
    ours = lowkey.TextRegressor(str(bert), **parameters).fit(TEXTS, numbers)
    assert ours.score(NEW, truth) == pytest.approx(r2_score(truth, ours.predict(NEW)))
    assert ours.score(NEW, truth) > 0.5
    ours.save(tmp_path / "saved")
    again = lowkey.TextRegressor.load(tmp_path / "saved", device="cpu")
    np.testing.assert_array_equal(again.predict(NEW), ours.predict(NEW))
    with pytest.raises(ConfigError, match="is a model of regression"):
        lowkey.TextClassifier.load(tmp_path / "saved")


class Table(dict):
    """What a table of pandas is to those who do not know it: it goes through its columns."""

    @property
    def columns(self):
        return list(self)


def test_mistakes_are_told_by_name(bert, tmp_path):
    with pytest.raises(ConfigError, match=r"TextClassifier: unknown key train\.learning_rte"):
        classifier(bert, settings={"train.learning_rte": 1}).fit(TEXTS, LABELS)
    with pytest.raises(ConfigError, match="method must be one of lora, full, head"):
        classifier(bert, method="lorra").fit(TEXTS, LABELS)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        classifier(bert).fit(TEXTS, LABELS[1:])
    with pytest.raises(ValueError, match="give a list of texts, not one text"):
        classifier(bert).fit("good", ["positive"] * 4)
    with pytest.raises(ValueError, match="give one column of the table"):
        classifier(bert).fit(Table(text=TEXTS), LABELS)
    with pytest.raises(ValueError, match="there are no rows"):
        classifier(bert).fit([], [])
    with pytest.raises(DataError, match="negative"):
        classifier(bert).fit(TEXTS, ["negative"] * len(TEXTS))
    with pytest.raises(DataError, match="good"):
        classifier(bert).fit(TEXTS, LABELS, (NEW, ["good"] * len(NEW)))


def test_a_damaged_file_of_parameters_is_refused(fitted, tmp_path):
    fitted.save(tmp_path / "saved")
    path = tmp_path / "saved" / "estimator.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps({**about, "parameters": {"modell": "x"}}))
    with pytest.raises(DataError, match="unknown parameter modell"):
        lowkey.TextClassifier.load(tmp_path / "saved")
    path.write_text(json.dumps({**about, "classes": [["a"]]}))
    with pytest.raises(DataError, match="classes"):
        lowkey.TextClassifier.load(tmp_path / "saved")
    path.write_text(json.dumps({**about, "classes": ["a"]}))
    with pytest.raises(DataError, match="1 classes for 2 labels"):
        lowkey.TextClassifier.load(tmp_path / "saved")
