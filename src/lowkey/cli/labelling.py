"""How ``lowkey predict`` labels texts: portion by portion, and nothing is cut off in silence."""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lowkey.errors import DataError

if TYPE_CHECKING:
    from lowkey.cli.texts import Input
    from lowkey.pipelines.classifier import TextClassifier
    from lowkey.pipelines.mask_filler import MaskFiller


def labelled(
    model: "TextClassifier", portions: Iterator[list["Input"]]
) -> Iterator[list[dict[str, Any]]]:
    """Labels texts, and tells how many of them are longer than the model reads at once.

    Args:
        model: The model.
        portions: The texts.

    Yields:
        The answers to a portion.

    Raises:
        DataError: If some texts have a second one and some have none, or if the model wants pairs
            and gets texts, or the other way round, or refuses texts that are too long.
    """
    done = 0
    for portion in portions:
        places = _places(portion, done)
        texts = [one.text for one in portion]
        examples = model.examples_of(texts, _second_texts(portion), places=places)
        for note in examples.notes("given"):
            print(note, file=sys.stderr)
        done += len(portion)
        yield model.answers(model.logits(examples))


def filled(
    model: "MaskFiller", portions: Iterator[list["Input"]]
) -> Iterator[list[dict[str, Any]]]:
    """Fills the masks in texts.

    Args:
        model: The model.
        portions: The texts.

    Yields:
        The answers to a portion.

    Raises:
        DataError: If a text has no mask, is longer than the model reads, or comes with another.
    """
    done = 0
    for portion in portions:
        texts = [one.text for one in portion]
        places = _places(portion, done)
        done += len(portion)
        yield model.predict(texts, _second_texts(portion), places=places)


def _places(portion: "Sequence[Input]", done: int) -> list[str]:
    """Names each text: its line, or which of all texts it is."""
    return [one.place or f"text {done + n}" for n, one in enumerate(portion, start=1)]


def _second_texts(portion: "Sequence[Input]") -> list[str] | None:
    """Collects the second texts; either all inputs have one or none has."""
    pairs = [one.pair for one in portion if one.pair is not None]
    if pairs and len(pairs) < len(portion):
        raise DataError(
            'some inputs have a "text_pair" and some have none', fix="give all of them one"
        )
    return pairs or None
