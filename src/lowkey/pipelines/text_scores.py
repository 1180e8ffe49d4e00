"""How good written outputs are, against all that they may be."""

from collections.abc import Sequence

from lowkey.data.rows import Rows
from lowkey.metrics.intervals import Score
from lowkey.metrics.measure import Measure
from lowkey.metrics.sequences import exact_match_of, token_error_rate_of, word_error_rate_of
from lowkey.metrics.translation import bleu_of, chrf_of, ter_of


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


def text_measures(
    outputs: Sequence[str],
    allowed: Sequence[Sequence[str]],
    metrics: str,
    *,
    thorough: bool = True,
) -> dict[str, Measure]:
    """Measures outputs against what they may be; a text may have several references too.

    Args:
        outputs: What was written for each row.
        allowed: What may be written.
        metrics: "words" for whole outputs and their tokens (pronunciation, spelling), else text.
        thorough: Whether TER is among the metrics of text, which takes as long as all the rest
            many times over.

    Returns:
        exact_match, word_error_rate and token_error_rate; or bleu, chrf and ter.
    """
    if metrics == "words":
        guesses = [output.split() for output in outputs]
        answers = [[answer.split() for answer in answers] for answers in allowed]
        of_words = (exact_match_of, word_error_rate_of, token_error_rate_of)
        found = [measure(guesses, answers) for measure in of_words]
    else:
        of_text = (bleu_of, chrf_of, ter_of) if thorough else (bleu_of, chrf_of)
        found = [measure(outputs, allowed) for measure in of_text]
    return {measure.name: measure for measure in found}


def text_scores(
    outputs: Sequence[str],
    allowed: Sequence[Sequence[str]],
    metrics: str,
    *,
    thorough: bool = True,
) -> dict[str, Score]:
    """Scores outputs against what they may be.

    Args:
        outputs: What the model wrote.
        allowed: What it may write.
        metrics: "words" or "text"; see :func:`text_measures`.
        thorough: Whether TER is among the metrics of text.

    Returns:
        The scores by name.
    """
    measures = text_measures(outputs, allowed, metrics, thorough=thorough)
    return {name: measure.score() for name, measure in measures.items()}
