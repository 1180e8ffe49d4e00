"""How good written outputs are, against all that they may be."""

from collections.abc import Sequence

from lowkey.data.rows import Rows
from lowkey.metrics.intervals import Score
from lowkey.metrics.sequences import token_error_rate, word_error_rate
from lowkey.metrics.translation import bleu, chrf


def allowed_targets(rows: Rows) -> list[list[str]]:
    """Collects the targets that count as right for each row.

    Args:
        rows: Rows with target, and perhaps alternatives.

    Returns:
        The target first, then its alternatives.
    """
    targets = rows.column("target")
    if "alternatives" not in rows.columns:
        return [[target] for target in targets]
    pairs = zip(targets, rows.column("alternatives"), strict=True)
    return [list(dict.fromkeys([target, *others])) for target, others in pairs]


def text_scores(
    outputs: Sequence[str], allowed: Sequence[Sequence[str]], metrics: str
) -> dict[str, Score]:
    """Scores outputs against what they may be.

    Args:
        outputs: What the model wrote.
        allowed: What it may write.
        metrics: "words" for whole outputs and their tokens (pronunciation, spelling), else text.

    Returns:
        word_error_rate and token_error_rate; or bleu and chrf.
    """
    if metrics == "words":
        guesses = [output.split() for output in outputs]
        answers = [[answer.split() for answer in answers] for answers in allowed]
        return {f.__name__: f(guesses, answers) for f in (word_error_rate, token_error_rate)}
    first = [[answers[0]] for answers in allowed]
    return {f.__name__: f(outputs, first) for f in (bleu, chrf)}
