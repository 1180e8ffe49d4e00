"""How ``lowkey predict`` answers questions: portion by portion."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lowkey.errors import DataError

if TYPE_CHECKING:
    from lowkey.cli.texts import Input
    from lowkey.pipelines.answerer import Answerer


def paired(texts: list[str]) -> "list[Input]":
    """Takes what was typed for a question and its context.

    Args:
        texts: The arguments.

    Returns:
        The question with its context.

    Raises:
        DataError: If they are not two.
    """
    from lowkey.cli.texts import Input

    if len(texts) != 2:
        raise DataError(
            f"{len(texts)} text{'s were' if len(texts) > 1 else ' was'} given",
            where="TEXT",
            fix='give a question and its context, or --file with lines of {"question": ...,'
            ' "context": ...}',
        )
    return [Input(texts[0], texts[1])]


def answered(
    model: "Answerer", portions: Iterator[list["Input"]]
) -> Iterator[list[dict[str, Any]]]:
    """Answers questions.

    Args:
        model: The model.
        portions: The questions, each with its context.

    Yields:
        The answers to a portion.

    Raises:
        DataError: If a question comes without a context, leaves no room for it, or if a context is
            longer than a model reads that was trained to refuse it.
    """
    done = 0
    for portion in portions:
        places = [one.place or f"question {done + n}" for n, one in enumerate(portion, start=1)]
        for one, place in zip(portion, places, strict=True):
            if one.pair is None:
                fix = 'write {"question": "...", "context": "..."}'
                raise DataError("the question has no context", where=place, fix=fix)
        questions = [one.text for one in portion]
        contexts = [one.pair or "" for one in portion]
        examples = model.examples_of(questions, contexts, places=places)
        for note in examples.notes("given", model.facts.max_answer_length):
            print(note, file=sys.stderr)
        done += len(portion)
        yield model.answers(examples)
