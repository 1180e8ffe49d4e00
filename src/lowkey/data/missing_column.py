"""What to say of a source that lacks a column."""

from collections.abc import Sequence

from lowkey.data.table import Table
from lowkey.errors import DataError, did_you_mean

_USUAL_NAMES = {
    "text": ("sentence", "sentence1", "review", "content", "premise", "question1", "question"),
    "text_pair": ("sentence2", "hypothesis", "question2", "answer"),
    "label": ("labels", "class", "category", "sentiment", "target", "score", "rating", "stars"),
    "source": ("src", "input", "word", "text"),
    "target": ("tgt", "output", "pronunciation", "translation"),
    "alternatives": (),
    "tokens": ("words", "tokenized_text", "token", "form"),
    "tags": ("ner_tags", "pos_tags", "upos", "xpos", "chunk_tags", "labels", "tag"),
    "question": ("query",),
    "context": ("passage", "paragraph", "document", "article", "text"),
    "answers.text": ("answer.text", "answer_text", "answers", "answer"),
    "answers.answer_start": ("answer.answer_start", "answer_start", "start"),
}


def missing_column(table: Table, name: str, theirs: str, required: Sequence[str]) -> DataError:
    """Says which columns there are and how to name the one that was meant.

    Args:
        table: The source.
        name: The standard column that is needed.
        theirs: What the source was to call it.
        required: All standard columns that are needed.

    Returns:
        The error, to be raised.
    """
    fix = "name it with data.columns: {" + name + ": ...}"
    taken = {column for column in required if column in table.names}
    free = [column for column in table.names if column not in taken]
    lowered = {column.lower(): column for column in reversed(free)}
    usual = next((lowered[known] for known in _USUAL_NAMES[name] if known in lowered), None)
    meant = usual or did_you_mean(theirs, free) or (free[0] if len(free) == 1 else None)
    sides = [column for column in free if "." in column]
    if meant:
        fix = "set data.columns: {" + f"{name}: {meant}" + "}"
    elif name in ("source", "target") and len(sides) > 1:
        fix = "name both sides, such as data.columns: "
        fix += "{" + f"source: {sides[0]}, target: {sides[1]}" + "}"
    if name == "text" and {"tokens", "tags"} <= set(table.names):
        fix = "set task: tag to learn a tag for each word"
    if name == "text" and {"question", "context"} <= set(table.names):
        fix = "set task: answer to learn to find answers"
    mapped = "" if theirs == name else f" (data.columns maps {name} to it)"
    columns = ", ".join(table.names[:20]) + (", ..." if len(table.names) > 20 else "")
    return DataError(
        f'{table.place} has no column "{theirs}"{mapped}; its columns are: {columns}', fix=fix
    )
