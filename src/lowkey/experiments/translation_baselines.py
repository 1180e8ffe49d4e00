"""What a translation reaches without a model: the score to be beaten."""

from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from lowkey.data.rows import Rows

COPY, NEAREST = "copy of the source", "nearest training pair"
_ROWS_AT_ONCE = 128


def translation_baselines(train: Rows, test: Rows) -> dict[str, list[str]]:
    """Translates without learning anything.

    Args:
        train: Rows with source and target: what a model may learn from.
        test: Rows with source.

    Returns:
        For each row of ``test``, under "copy of the source" its source, and under "nearest
        training pair" the target of the training row whose source is most like it.
    """
    sources = list(test.column("source"))
    return {COPY: sources, NEAREST: _nearest(train, sources)}


def _nearest(train: Rows, sources: list[str]) -> list[str]:
    """Compares character n-grams, weighted by TF-IDF; of equally near rows the first is taken."""
    vectorizer = TfidfVectorizer(
        analyzer="char",
        ngram_range=(2, 4),
        sublinear_tf=True,
        dtype=np.float32,
        # With a blank at both ends even one letter has n-grams.
        preprocessor=lambda text: f" {text.lower()} ",
    )
    features: Any = vectorizer.fit_transform(train.column("source"))
    known = features.T.tocsr()  # once: each product would turn it anew
    targets = train.column("target")
    outputs: list[str] = []
    for start in range(0, len(sources), _ROWS_AT_ONCE):
        portion = vectorizer.transform(sources[start : start + _ROWS_AT_ONCE])
        # The rows have length 1, so that their products are cosines.
        nearest = (portion @ known).toarray().argmax(axis=1)
        outputs += [targets[i] for i in nearest.tolist()]
    return outputs
