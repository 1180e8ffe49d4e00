"""What is to be learned: what the recipe asks for, or what the columns say."""

from typing import Literal

from lowkey.data.answer_places import ANSWER_COLUMNS, num_unanswerable
from lowkey.data.config import LongTexts
from lowkey.data.label_lists import refuse_lists, refuse_single_labels
from lowkey.data.labels import TaskChoice, detect_task, label_name
from lowkey.data.rows import Rows
from lowkey.errors import DataError
from lowkey.experiments.config import Task
from lowkey.metrics.entities import marks_entities

Kind = Literal["classification", "multilabel", "regression", "tagging", "answering", "fill-mask"]

KINDS: dict[str, Kind] = {
    "classify": "classification",
    "pair": "classification",
    "multilabel": "multilabel",
    "regress": "regression",
    "tag": "tagging",
    "answer": "answering",
    "mlm": "fill-mask",
}
"""What kind of model each task makes."""

LONG_TEXTS: dict[str, LongTexts] = {"tag": "error", "answer": "window", "mlm": "window"}
"""Where the recipe does not say: each word needs a tag, an answer may stand anywhere."""


def columns_for(task: str) -> tuple[str, ...]:
    """Names the columns that a task is learned from.

    Args:
        task: What the recipe asks for.

    Returns:
        The columns to read, and those of the truth; raw text has none.
    """
    if task == "answer":
        return ANSWER_COLUMNS
    if task == "mlm":
        return ("text",)
    return ("tokens", "tags") if task == "tag" else ("text", "label")


def choose_task(wanted: Task, train: Rows) -> TaskChoice:
    """Decides the task, and makes sure that the rows allow the one that was asked for.

    Args:
        wanted: What the recipe asks for; "auto" looks at the columns.
        train: Training rows.

    Returns:
        The task and the reason for it.

    Raises:
        DataError: If pairs are asked for and the rows hold single texts, or lists of labels and
            the rows have one each, or the other way round.
    """
    if wanted == "auto":
        return detect_task(train)
    if wanted == "mlm":
        return TaskChoice("mlm", f"asked for; {len(train):,} texts")
    if wanted == "tag":
        names = {label_name(tag) for tags in train.column("tags") for tag in tags}
        marks = "mark entities" if marks_entities(names) else "say something of each word"
        return TaskChoice("tag", f"asked for; {len(names)} different tags that {marks}")
    if wanted == "answer":
        none = num_unanswerable(train)
        found = f"{none} of {len(train)} questions have no answer" if none else "all have answers"
        return TaskChoice("answer", f"asked for; {found}")
    if wanted == "multilabel":
        refuse_single_labels(train)
        return TaskChoice("multilabel", "asked for")
    refuse_lists(train)
    has_pairs = "text_pair" in train.columns
    if wanted == "pair" and not has_pairs:
        raise DataError(
            f'{train.place} has no column "text_pair"',
            fix="map it with data.columns: {text_pair: ...}, or set task: classify",
        )
    if wanted == "regress":
        return TaskChoice("regress", "asked for")
    if has_pairs:
        return TaskChoice("pair", "asked for, and there is a column text_pair")
    return TaskChoice("classify", "asked for")
