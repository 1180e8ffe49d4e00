"""An estimator of sentences of words: a tag for each word."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from lowkey.data.labels import label_name
from lowkey.estimators.encoders import EncoderEstimator, classes_of
from lowkey.estimators.estimator import plain, refuse_bare, rows_of
from lowkey.metrics.tagging import tag_measures
from lowkey.pipelines.sentences import words_of
from lowkey.pipelines.tagger import Tagger as Pipeline

Sentences = Collection[Any]
"""Sentences as lists of words; a text is split at its white space."""


class Tagger(EncoderEstimator):
    """A pretrained encoder that ``fit`` teaches to tag words.

    For its parameters see :class:`lowkey.estimators.encoders.EncoderEstimator`.

    Attributes:
        classes_: The tags, sorted, of the type they were given in.
        pipeline_: The trained model, as ``lowkey.load`` opens it.
    """

    kind = "tagging"
    pipeline_: Pipeline

    def fit(
        self,
        X: Sentences,
        y: Collection[Any],
        validation: tuple[Sentences, Collection[Any]] | None = None,
    ) -> "Tagger":
        """Fine-tunes the encoder.

        Args:
            X: Sentences.
            y: A tag for each word of each.
            validation: Sentences and tags that choose the best step; None holds out a tenth.

        Returns:
            The estimator.

        Raises:
            ValueError: If there are not as many rows of tags as sentences.
            LowkeyError: If a parameter, a sentence or a tag is not usable.
        """
        rows = _rows(X, y)
        held_out = None if validation is None else _rows(*validation)
        self.classes_ = np.unique([tag for row in rows for tag in row["tags"]])
        names = [label_name(plain(one)) for one in self.classes_]
        # A single tag is refused by the training, which says what to do about it.
        labels = names if len(names) > 1 else None
        values = {**self._values(), "task": "tag", "data.labels": labels}
        self.pipeline_ = self._fit(rows, held_out, values)
        return self

    def predict(self, X: Sentences) -> list[list[Any]]:
        """Tags each word.

        Args:
            X: Sentences.

        Returns:
            The tags of each sentence; None for words that are cut off.

        Raises:
            NotFittedError: If there is no model yet.
            DataError: If a sentence has no words, or is longer than the model reads.
        """
        check_is_fitted(self, "pipeline_")
        refuse_bare(X)
        answers = self.pipeline_.predict([words_of(sentence) for sentence in X])
        values = dict(zip(self.pipeline_.facts.labels, self.classes_.tolist(), strict=True))
        return [[values.get(tag) for tag in answer["tags"]] for answer in answers]

    def score(self, X: Sentences, y: Collection[Any]) -> float:
        """Measures how good the tags are.

        Args:
            X: Sentences.
            y: A tag for each word of each.

        Returns:
            Where tags mark entities their strict F1, else the share of words that are right.

        Raises:
            NotFittedError: If there is no model yet.
            DataError: If a sentence has no words, or is longer than the model reads.
        """
        check_is_fitted(self, "pipeline_")
        rows = _rows(X, y)
        tags = self.pipeline_.tags(self.pipeline_.examples_of([row["tokens"] for row in rows]))
        truth = [[label_name(tag) for tag in row["tags"]] for row in rows]
        measures = tag_measures(tags, truth, self.pipeline_.facts.labels)
        return measures.get("entity_f1", measures["accuracy"]).score().value

    def _take(self, pipeline: Any, classes: Sequence[Any] | None) -> None:
        super()._take(pipeline, classes)
        self.classes_ = classes_of(pipeline.facts, classes)


def _rows(sentences: Sentences, tags: Collection[Any]) -> list[dict[str, Any]]:
    refuse_bare(sentences)
    return rows_of(tokens=[words_of(one) for one in sentences], tags=[list(row) for row in tags])
