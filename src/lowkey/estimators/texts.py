"""Estimators of texts, or pairs of them: a class for each, or a number."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from lowkey.data.labels import label_name
from lowkey.estimators.encoders import EncoderEstimator, classes_of
from lowkey.estimators.estimator import plain, refuse_bare, rows_of
from lowkey.pipelines.classifier import TextClassifier as Pipeline

Texts = Collection[Any]
"""Texts, or pairs of them, in a list, an array of numpy or a series of pandas."""


class _TextEstimator(EncoderEstimator):
    """An estimator that reads texts."""

    pipeline_: Pipeline

    def _fit_texts(
        self,
        texts: Texts,
        labels: Collection[Any],
        validation: tuple[Texts, Collection[Any]] | None,
        values: dict[str, Any],
    ) -> None:
        first, second = _columns(texts)
        rows = _rows(first, second, labels)
        held_out = None
        if validation is not None:
            held_out = _rows(*_columns(validation[0]), validation[1])
        self.pipeline_ = self._fit(rows, held_out, {**self._values(), **values})

    def _answers(self, texts: Texts) -> list[dict[str, Any]]:
        check_is_fitted(self, "pipeline_")
        return self.pipeline_.predict(*_columns(texts))


class TextClassifier(ClassifierMixin, _TextEstimator):
    """A pretrained encoder that ``fit`` teaches to classify texts, or pairs of texts.

    It works in scikit-learn's ``clone``, ``cross_val_score``, ``GridSearchCV`` and pipelines. For
    its parameters see :class:`lowkey.estimators.encoders.EncoderEstimator`.

    Attributes:
        classes_: The classes, sorted, of the type they were given in.
        pipeline_: The trained model, as ``lowkey.load`` opens it.
    """

    kind = "classification"

    def fit(
        self, X: Texts, y: Collection[Any], validation: tuple[Texts, Collection[Any]] | None = None
    ) -> "TextClassifier":
        """Fine-tunes the encoder.

        Args:
            X: Texts, or pairs of texts.
            y: A class for each: texts, whole numbers or booleans.
            validation: Texts and classes that choose the best step; None holds out a tenth.

        Returns:
            The estimator.

        Raises:
            ValueError: If there are not as many classes as texts.
            LowkeyError: If a parameter, a text or a class is not usable.
        """
        self.classes_ = np.unique(np.asarray(y))
        names = [label_name(plain(one)) for one in self.classes_]
        pairs = _columns(X)[1] is not None
        # A single class is refused by the training, which says what to do about it.
        labels = names if len(names) > 1 else None
        task = {"task": "pair" if pairs else "classify", "data.labels": labels}
        self._fit_texts(X, y, validation, task)
        return self

    def predict(self, X: Texts) -> Shaped[np.ndarray, " texts"]:
        """Chooses the class of each text.

        Args:
            X: Texts, or pairs of texts.

        Returns:
            The classes.

        Raises:
            NotFittedError: If there is no model yet.
        """
        answers = self._answers(X)
        places = {name: i for i, name in enumerate(self.pipeline_.facts.labels)}
        return self.classes_[[places[answer["label"]] for answer in answers]]

    def predict_proba(self, X: Texts) -> Float[np.ndarray, "texts classes"]:
        """Gives the probability of each class.

        Args:
            X: Texts, or pairs of texts.

        Returns:
            The probabilities, in the order of ``classes_``.

        Raises:
            NotFittedError: If there is no model yet.
        """
        answers = self._answers(X)
        names = self.pipeline_.facts.labels
        scores = [[answer["scores"][name] for name in names] for answer in answers]
        return np.array(scores, dtype=np.float64).reshape(len(answers), len(names))

    def _take(self, pipeline: Any, classes: Sequence[Any] | None) -> None:
        super()._take(pipeline, classes)
        self.classes_ = classes_of(pipeline.facts, classes)


class TextRegressor(RegressorMixin, _TextEstimator):
    """A pretrained encoder that ``fit`` teaches to give texts, or pairs of texts, a number.

    For its parameters see :class:`lowkey.estimators.encoders.EncoderEstimator`. ``score`` is
    scikit-learn's R².

    Attributes:
        pipeline_: The trained model, as ``lowkey.load`` opens it.
    """

    kind = "regression"

    def fit(
        self, X: Texts, y: Collection[Any], validation: tuple[Texts, Collection[Any]] | None = None
    ) -> "TextRegressor":
        """Fine-tunes the encoder.

        Args:
            X: Texts, or pairs of texts.
            y: A finite number for each.
            validation: Texts and numbers that choose the best step; None holds out a tenth.

        Returns:
            The estimator.

        Raises:
            ValueError: If there are not as many numbers as texts.
            LowkeyError: If a parameter, a text or a number is not usable.
        """
        self._fit_texts(X, y, validation, {"task": "regress"})
        return self

    def predict(self, X: Texts) -> Float[np.ndarray, " texts"]:
        """Gives each text its number.

        Args:
            X: Texts, or pairs of texts.

        Returns:
            The numbers.

        Raises:
            NotFittedError: If there is no model yet.
        """
        return np.array([answer["score"] for answer in self._answers(X)], dtype=np.float64)


def _columns(texts: Texts) -> tuple[list[str], list[str] | None]:
    """Takes texts as they are, and pairs apart."""
    refuse_bare(texts)
    items = [one if isinstance(one, str) else plain(one) for one in texts]
    if not items or not isinstance(items[0], list):
        return items, None
    if any(not isinstance(one, list) or len(one) != 2 for one in items):
        raise ValueError("some rows are pairs of texts and others are not")
    return [first for first, _ in items], [second for _, second in items]


def _rows(
    texts: Sequence[str], seconds: Sequence[str] | None, labels: Collection[Any]
) -> list[dict[str, Any]]:
    if seconds is None:
        return rows_of(text=texts, label=labels)
    return rows_of(text=texts, text_pair=seconds, label=labels)
