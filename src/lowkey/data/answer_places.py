"""Where the answers of a set stand in their contexts, checked before anything is learned."""

from lowkey.data.rows import Rows
from lowkey.errors import DataError, shown

ANSWER_COLUMNS = ("question", "context", "answers.text", "answers.answer_start")
"""The columns of extractive question answering, as data sets of the Hub have them."""


def check_answers(rows: Rows) -> None:
    """Makes sure that each answer stands in its context where the row says.

    Args:
        rows: Rows with the columns of ``ANSWER_COLUMNS``.

    Raises:
        DataError: If one does not.
    """
    columns = (rows.column(name) for name in ANSWER_COLUMNS[1:])
    for i, (context, texts, starts) in enumerate(zip(*columns, strict=True)):
        for text, start in zip(texts, starts, strict=True):
            if not context.startswith(text, start):
                raise DataError(
                    f"the answer {shown(text)} is not in the context at character {start}, where"
                    f" {shown(context[start : start + len(text)])} stands",
                    where=rows.where(i),
                    fix=_fix(context, text),
                )


def num_unanswerable(rows: Rows) -> int:
    """Counts the questions that have no answer.

    Args:
        rows: Rows with ``answers.text``.

    Returns:
        Their number.
    """
    return sum(not texts for texts in rows.column("answers.text"))


def _fix(context: str, text: str) -> str:
    places = [i for i in range(len(context)) if context.startswith(text, i)]
    if not places:
        near = context.lower().find(text.lower())
        if near >= 0:
            written = shown(context[near : near + len(text)])
            return f"write it as the context has it, {written}, and set answer_start to {near}"
        return "write it as the context has it, or leave out the row"
    if len(places) > 3:
        return f"it begins at {len(places)} other characters; correct answer_start"
    return f"set answer_start to {' or '.join(map(str, places))}"
