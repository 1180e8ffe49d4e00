"""BLEU and chrF of translations, as sacrebleu computes them."""

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from lowkey.metrics.intervals import Score, Values, Weights, bootstrapped, row_count
from lowkey.metrics.sequences import check_allowed


def bleu(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
    """Returns the BLEU score of a corpus, 0 to 100.

    Args:
        predictions: The translation of each sentence, not tokenized.
        references: The reference translations of each sentence; at least one.

    Returns:
        The score with its bootstrap interval and sacrebleu's signature.

    Raises:
        ValueError: If there are no rows, not as many references as predictions, or a row
            without a reference.
        TypeError: If a row's references are a bare string.

    References:
        Post, "A Call for Clarity in Reporting BLEU Scores", 2018.
    """
    return _corpus_score("bleu", BLEU(force=True), predictions, references)


def chrf(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
    """Returns the chrF2 score of a corpus, 0 to 100: the F-score of character n-grams.

    Args:
        predictions: The translation of each sentence, not tokenized.
        references: The reference translations of each sentence; at least one.

    Returns:
        The score with its bootstrap interval and sacrebleu's signature.

    Raises:
        ValueError: If there are no rows, not as many references as predictions, or a row
            without a reference.
        TypeError: If a row's references are a bare string.

    References:
        Popović, "chrF: character n-gram F-score for automatic MT evaluation", 2015.
    """
    return _corpus_score("chrf", CHRF(), predictions, references)


def _corpus_score(
    name: str, metric: Metric, predictions: Sequence[str], references: Sequence[Sequence[str]]
) -> Score:
    """Scores the sums of sentence statistics, of the corpus and of its resamples.

    The statistics are behind underscores in sacrebleu; its public functions would match the
    n-grams of every resample anew.
    """
    n = row_count(name, predictions, references)
    check_allowed(name, references)
    # sacrebleu wants all first references, then all second ones, with None for the missing.
    streams = list(zip_longest(*references))
    statistics = np.array(metric._extract_corpus_statistics(predictions, streams), dtype=float)

    def scores(weights: Weights) -> Values:
        sums = (weights @ statistics).astype(int).tolist()
        return np.array([metric._compute_score_from_stats(line).score for line in sums])

    return bootstrapped(scores, n, signature=str(metric.get_signature()))
