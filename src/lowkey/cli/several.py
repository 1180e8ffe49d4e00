"""How ``lowkey predict`` lets several runs over one base answer: ``--also RUN``."""

import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lowkey.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from lowkey.cli.texts import Input

Also = Annotated[
    list[Path] | None,
    typer.Option(
        "--also",
        metavar="RUN",
        help="Another run over the same base that answers too, by LoRA; may be repeated. A line of"
        ' JSONL that names a run under "adapter" is answered by that one alone.',
    ),
]


def answers_of_several(
    runs: Sequence[Path],
    portions: Iterator[list["Input"]],
    *,
    base: str | None,
    device: str,
    precision: str,
) -> Iterator[list[dict[str, Any]]]:
    """Predicts with several runs, portion by portion.

    Args:
        runs: The runs.
        portions: The texts.
        base: Where the base model is, if not where it was in training.
        device: Where to compute.
        precision: In which numbers.

    Yields:
        The answers to a portion: to each text that of the run it names, else one of each run.

    Raises:
        MissingInputError: If there is no such run, or its base is not there.
        DataError: If a file is damaged, if runs cannot share a base, or if a text names none of
            them or is not what its run reads.
        ConfigError: If two runs have one name, or the device is not there.
    """
    from lowkey.pipelines.shared_runs import find_runs

    names = list(find_runs(runs))
    first = next(portions, None)
    if first is None:
        return
    _asked(first, names)  # what is wrong with it is told before torch is imported
    from lowkey.pipelines.bank import TextBank

    bank = TextBank.load(runs, base=base, device=device, precision=precision)
    done = 0
    for portion in chain([first], portions):
        asked = _asked(portion, names)
        found = bank.predict(
            [portion[i].text for i, _ in asked],
            [name for _, name in asked],
            [portion[i].pair for i, _ in asked],
            places=[portion[i].place or f"text {done + i + 1}" for i, _ in asked],
            say=lambda note: print(note, file=sys.stderr),
        )
        done += len(portion)
        yield [{"adapter": name, **one} for (_, name), one in zip(asked, found, strict=True)]


def _asked(portion: Sequence["Input"], names: Sequence[str]) -> list[tuple[int, str]]:
    """Lists which texts are asked of which runs."""
    asked = []
    for i, one in enumerate(portion):
        if one.adapter is None:
            asked += [(i, name) for name in names]
        elif one.adapter in names:
            asked.append((i, one.adapter))
        else:
            near = did_you_mean(one.adapter, names)
            raise DataError(
                f"none of the runs is called {one.adapter}",
                where=one.place or None,
                fix=f"did you mean {near}?" if near else f"there are {', '.join(names)}",
            )
    return asked
