"""Metrics of entities: stretches of words that tags such as ``B-PER I-PER O`` mark out."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lowkey.metrics.intervals import Values, row_count
from lowkey.metrics.measure import Measure, additive

_OUTSIDE = "O"
# BIO and IOB, BIOES, and BILOU, which says L for E and U for S.
_MARKED = re.compile(r"([BIESLU])(?:-(.*))?", re.DOTALL)
_GO_ON, _GOES_ON = "BI", "IEL"

Tags = Sequence[str | None]


class Entity(NamedTuple):
    """A stretch of words of one type.

    Attributes:
        type: What it is, such as PER; empty where the tags name no types.
        start: Its first word, from 0.
        end: The word behind its last one.
    """

    type: str
    start: int
    end: int


def marks_entities(names: Iterable[str]) -> bool:
    """Tells whether a set of tags marks entities, or says something of each word by itself.

    Args:
        names: The tags of a set.

    Returns:
        Whether they are O and tags of BIO, BIOES or BILOU, such as B-PER.

    Example:
        >>> marks_entities(["O", "B-PER", "I-PER"]), marks_entities(["NOUN", "VERB"])
        (True, False)
    """
    names = set(names)
    marked = names - {_OUTSIDE}
    return _OUTSIDE in names and bool(marked) and all(map(_MARKED.fullmatch, marked))


def entities(tags: Tags) -> list[Entity]:
    """Finds the entities of a sentence, by the rule of the CoNLL shared tasks.

    An entity goes on where a tag with B or I is followed by one with I or E and the same type. Any
    other tag that is not O begins one, so that an I that continues nothing is not lost.

    Args:
        tags: The tag of each word; None, where nothing was predicted, is outside.

    Returns:
        The entities in their order.

    References:
        Tjong Kim Sang and De Meulder, "Introduction to the CoNLL-2003 shared task", 2003: the
        scorer ``conlleval``.

    Example:
        >>> entities(["B-PER", "I-PER", "O", "I-LOC"])
        [Entity(type='PER', start=0, end=2), Entity(type='LOC', start=3, end=4)]
    """
    found: list[Entity] = []
    before = ("", "")
    for i, tag in enumerate(tags):
        hit = _MARKED.fullmatch(tag or _OUTSIDE)
        mark, kind = (hit[1], hit[2] or "") if hit else ("", "")
        goes_on = before[0] and before[0] in _GO_ON and mark in _GOES_ON and kind == before[1]
        if mark and goes_on:
            found[-1] = found[-1]._replace(end=i + 1)
        elif mark:
            found.append(Entity(kind, i, i + 1))
        before = (mark, kind)
    return found


def entity_measures(predictions: Sequence[Tags], references: Sequence[Tags]) -> dict[str, Measure]:
    r"""Measures how well entities are found.

    ``entity_precision``, ``entity_recall`` and ``entity_f1`` are strict: first word, last word and
    type must be right. ``partial_f1`` counts an entity of the right type that overlaps the true one
    as half: :math:`2 \cdot (\text{exact} + \text{partial} / 2) / (\text{predicted} + \text{true})`.
    Counts are summed over all sentences and types before the division. Without any entity, true
    or predicted, they are undefined.

    Args:
        predictions: The predicted tags of each sentence.
        references: The true tags of each sentence.

    Returns:
        The metrics by name, of any choice of the sentences.

    Raises:
        ValueError: If there are no sentences, or not as many references as predictions.

    References:
        Chinchor and Sundheim, "MUC-5 evaluation metrics", 1993, for half the credit.
    """
    row_count("entity_f1", predictions, references)
    counts = np.array(
        [_counts(entities(p), entities(r)) for p, r in zip(predictions, references, strict=True)],
        dtype=float,
    )
    ratios = {
        "entity_f1": ([2, 0, 0, 0], [0, 0, 1, 1]),
        "entity_precision": ([1, 0, 0, 0], [0, 0, 1, 0]),
        "entity_recall": ([1, 0, 0, 0], [0, 0, 0, 1]),
        "partial_f1": ([2, 1, 0, 0], [0, 0, 1, 1]),
    }
    return {name: _ratio(name, counts, *weights) for name, weights in ratios.items()}


def _ratio(
    name: str,
    counts: Float[np.ndarray, "sentences 4"],
    above: Sequence[int],
    below: Sequence[int],
) -> Measure:
    """Makes a quotient of sums; 0 where only its denominator is empty."""

    def of_sums(sums: Float[np.ndarray, "resamples 4"]) -> Values:
        any_entity = sums[:, 2] + sums[:, 3] > 0
        value = sums @ np.array(above) / np.maximum(sums @ np.array(below), 1)
        return np.where(any_entity, value, np.nan)

    return additive(name, counts, of_sums)


def _counts(predicted: Sequence[Entity], true: Sequence[Entity]) -> tuple[int, int, int, int]:
    """Counts exact and partial matches, predicted and true entities."""
    exact = len(set(predicted) & set(true))
    partial = 0
    for kind in {entity.type for entity in true}:
        partial += _overlapping(
            [e for e in predicted if e.type == kind], [e for e in true if e.type == kind]
        )
    return exact, partial - exact, len(predicted), len(true)


def _overlapping(predicted: Sequence[Entity], true: Sequence[Entity]) -> int:
    """Counts the pairs that overlap, each entity in one pair at most; as many as there can be.

    The entities of a side do not overlap each other, so that going from left to right and pairing
    whatever meets first leaves no better choice; and an exact match meets nothing else.
    """
    pairs = i = j = 0
    while i < len(predicted) and j < len(true):
        if predicted[i].start < true[j].end and true[j].start < predicted[i].end:
            pairs, i, j = pairs + 1, i + 1, j + 1
        elif predicted[i].end <= true[j].start:
            i += 1
        else:
            j += 1
    return pairs
