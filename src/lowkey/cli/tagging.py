"""How ``lowkey predict`` tags: portion by portion, and nothing is left out in silence."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lowkey.cli.texts import Input
    from lowkey.pipelines.tagger import Tagger


def tagged(model: "Tagger", portions: Iterator[list["Input"]]) -> Iterator[list[dict[str, Any]]]:
    """Tags sentences, and tells what of them is cut off or unknown to the tokenizer.

    Args:
        model: The model.
        portions: The sentences.

    Yields:
        The answers to a portion.

    Raises:
        DataError: If a sentence has no words, or is longer than the model reads.
    """
    done = 0
    for portion in portions:
        sentences = [one.sentence for one in portion]
        places = [one.place or f"text {done + n}" for n, one in enumerate(portion, start=1)]
        examples = model.examples_of(sentences, places=places)
        for note in examples.notes("given"):
            print(note, file=sys.stderr)
        done += len(portion)
        yield model.answers(sentences, examples)
