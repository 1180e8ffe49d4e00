"""BLEU, chrF and TER of translations, as sacrebleu computes them."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

import numpy as np
from jaxtyping import Float
from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from lowkey.metrics.intervals import Score, Values, row_count
from lowkey.metrics.measure import Measure, additive
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
    return bleu_of(predictions, references).score()


def bleu_of(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Measure:
    """Measures BLEU; see :func:`bleu`.

    Args:
        predictions: The translation of each sentence, not tokenized.
        references: The reference translations of each sentence; at least one.

    Returns:
        The metric of any choice of the rows.

    Raises:
        ValueError: If there are no rows, not as many references as predictions, or a row
            without a reference.
        TypeError: If a row's references are a bare string.
    """
    measure = _measure("bleu", BLEU(force=True), predictions, references)
    return replace(measure, rows=None)  # a sentence of fewer than four words has no BLEU


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
    return chrf_of(predictions, references).score()


def chrf_of(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Measure:
    """Measures chrF2; see :func:`chrf`.

    Args:
        predictions: The translation of each sentence, not tokenized.
        references: The reference translations of each sentence; at least one.

    Returns:
        The metric of any choice of the rows.

    Raises:
        ValueError: If there are no rows, not as many references as predictions, or a row
            without a reference.
        TypeError: If a row's references are a bare string.
    """
    return _measure("chrf", CHRF(), predictions, references)


def ter(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
    """Returns the translation edit rate of a corpus, 0 or more; lower is better.

    It counts the words that must be inserted, deleted, replaced or, a group at a time, moved,
    per 100 words of the reference. Looking for the moves takes long.

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
        Snover et al., "A Study of Translation Edit Rate with Targeted Human Annotation", 2006.
    """
    return ter_of(predictions, references).score()


def ter_of(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Measure:
    """Measures the translation edit rate; see :func:`ter`.

    Args:
        predictions: The translation of each sentence, not tokenized.
        references: The reference translations of each sentence; at least one.

    Returns:
        The metric of any choice of the rows.

    Raises:
        ValueError: If there are no rows, not as many references as predictions, or a row
            without a reference.
        TypeError: If a row's references are a bare string.
    """
    return _measure("ter", TER(), predictions, references)


def _measure(
    name: str, metric: Metric, predictions: Sequence[str], references: Sequence[Sequence[str]]
) -> Measure:
    """Scores the sums of sentence statistics, of the corpus and of any choice of its rows.

    The statistics are behind underscores in sacrebleu; its public functions would match the
    n-grams of every resample anew.
    """
    row_count(name, predictions, references)
    check_allowed(name, references)
    # sacrebleu wants all first references, then all second ones, with None for the missing.
    streams = list(zip_longest(*references))
    statistics = np.array(metric._extract_corpus_statistics(predictions, streams), dtype=float)

    def of_sums(sums: Float[np.ndarray, "resamples statistics"]) -> Values:
        return np.array([metric._compute_score_from_stats(line).score for line in sums.tolist()])

    return additive(name, statistics, of_sums, signature=str(metric.get_signature()))
