"""What a trained classifier goes through before it is scored: calibration, a look for collapse."""

from collections.abc import Callable

from lowkey.experiments.collapse import collapse_note
from lowkey.experiments.config import FinetuneRecipe
from lowkey.experiments.learners import Learner
from lowkey.pipelines.calibration import calibrated
from lowkey.pipelines.classifier import TextClassifier

FLATTERED = (
    "the {} fitted on the validation rows that the scores are of, which flatters them"
    " — give data.test for scores that are not"
)
"""What a user must know of scores of the rows that something was chosen by."""


def care_for(
    learner: Learner,
    best: TextClassifier,
    recipe: FinetuneRecipe,
    *,
    steps: int,
    scored: str,
    say: Callable[[str], None],
) -> list[str]:
    """Calibrates the best model if that is asked for, and looks whether it has collapsed.

    Args:
        learner: What was trained, with its rows.
        best: The model as it is kept; its facts get the calibration.
        recipe: How it was trained.
        steps: Updates made.
        scored: Name of the split that the final scores are of.
        say: Takes a line for the user.

    Returns:
        What a user of the model must know.
    """
    notes: list[str] = []
    truth, logits = learner.validation.labels, best.logits(learner.validation)
    if recipe.calibrate:
        assert truth is not None, "validation examples have labels"
        found = calibrated(best.facts, logits, truth)
        best.facts = best.facts.model_copy(update={"calibration": found})
        say(
            f"calibrated on {found.rows} validation rows: temperature {found.temperature:.3g},"
            f" expected calibration error {found.error_before:.3f} before and"
            f" {found.error_after:.3f} after"
        )
        if found.thresholds and scored == "validation":
            notes.append(FLATTERED.format("thresholds were"))
    collapse = collapse_note(learner, best, logits, recipe, steps)
    return [*notes, collapse] if collapse else notes
