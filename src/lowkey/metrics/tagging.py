"""Metrics of tags, one for each word of a sentence.

The words of a sentence are not independent, so the intervals come from drawing whole sentences.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from lowkey.metrics.entities import entity_measures, marks_entities
from lowkey.metrics.intervals import Values, row_count
from lowkey.metrics.measure import Measure, additive

Tags = Sequence[str | None]


def tag_measures(
    predictions: Sequence[Tags], references: Sequence[Tags], names: Sequence[str] | None = None
) -> dict[str, Measure]:
    """Measures tags by the metrics that suit them.

    Args:
        predictions: The predicted tag of each word of each sentence; None where there is none,
            which is wrong whatever the true tag.
        references: The true tags.
        names: All tags that there are; by default those that occur.

    Returns:
        accuracy over words; of tags that mark entities also entity_f1, entity_precision,
        entity_recall and partial_f1, of any other tags f1_macro.

    Raises:
        ValueError: If there are no sentences, or a sentence has not as many predictions as
            references.
    """
    _refuse_other_lengths(predictions, references)
    if names is None:
        names = [tag for row in (*predictions, *references) for tag in row if tag is not None]
    word_accuracy = tag_accuracy_of(predictions, references)
    if marks_entities(names):
        return {**entity_measures(predictions, references), "accuracy": word_accuracy}
    return {"accuracy": word_accuracy, "f1_macro": tag_f1_macro_of(predictions, references)}


def tag_accuracy_of(predictions: Sequence[Tags], references: Sequence[Tags]) -> Measure:
    """Measures the share of words whose tag is right.

    Args:
        predictions: The predicted tags of each sentence.
        references: The true tags of each sentence.

    Returns:
        The metric of any choice of the sentences.

    Raises:
        ValueError: If there are no sentences, or a sentence has not as many predictions as
            references.
    """
    _refuse_other_lengths(predictions, references)
    counts = [
        (sum(guess == tag for guess, tag in zip(*pair, strict=True)), len(pair[1]))
        for pair in zip(predictions, references, strict=True)
    ]
    return additive("accuracy", np.array(counts, dtype=float), lambda sums: sums[:, 0] / sums[:, 1])


def tag_f1_macro_of(predictions: Sequence[Tags], references: Sequence[Tags]) -> Measure:
    r"""Measures the mean over tags of :math:`2 \cdot TP / (2 \cdot TP + FP + FN)` over words.

    Every tag that was predicted or true counts the same, however rare.

    Args:
        predictions: The predicted tags of each sentence.
        references: The true tags of each sentence.

    Returns:
        The metric of any choice of the sentences. In a resample, tags that were not drawn do not
        count.

    Raises:
        ValueError: If there are no sentences, or a sentence has not as many predictions as
            references.
    """
    _refuse_other_lengths(predictions, references)
    known = sorted({tag for row in (*predictions, *references) for tag in row if tag is not None})
    ids = {tag: i for i, tag in enumerate(known)}
    # By tag: hits, and predicted and true words together.
    counts = np.zeros((len(references), 2, len(known)))
    for row, pair in enumerate(zip(predictions, references, strict=True)):
        for guess, tag in zip(*pair, strict=True):
            if guess is not None:
                counts[row, 1, ids[guess]] += 1
            if tag is not None:
                counts[row, 1, ids[tag]] += 1
                counts[row, 0, ids[tag]] += guess == tag

    def of_sums(sums: Float[np.ndarray, "resamples counts"]) -> Values:
        hits, shown = sums[:, : len(known)], sums[:, len(known) :]
        f1 = 2 * hits / np.maximum(shown, 1)
        return f1.sum(axis=1) / (shown > 0).sum(axis=1)

    return additive("f1_macro", counts.reshape(len(references), -1), of_sums)


def _refuse_other_lengths(predictions: Sequence[Tags], references: Sequence[Tags]) -> None:
    row_count("tags", predictions, references)
    for row, (guesses, tags) in enumerate(zip(predictions, references, strict=True)):
        if len(guesses) != len(tags) or not len(tags):
            raise ValueError(f"tags: row {row} has {len(guesses)} predictions for {len(tags)} tags")
