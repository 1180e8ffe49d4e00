"""What is to be learned: what the recipe asks for, or what the columns say."""

from lowkey.data.labels import TaskChoice, detect_task
from lowkey.data.rows import Rows
from lowkey.errors import DataError
from lowkey.experiments.config import Task


def choose_task(wanted: Task, train: Rows) -> TaskChoice:
    """Decides the task, and makes sure that the rows allow the one that was asked for.

    Args:
        wanted: What the recipe asks for; "auto" looks at the columns.
        train: Training rows.

    Returns:
        The task and the reason for it.

    Raises:
        DataError: If pairs are asked for and the rows hold single texts.
    """
    if wanted == "auto":
        return detect_task(train)
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
