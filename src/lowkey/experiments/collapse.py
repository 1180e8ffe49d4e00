"""Says when a model gives every text the same answer, what it may come of, and what helps."""

import numpy as np
from jaxtyping import Shaped

from lowkey.data.label_sets import LabelSets
from lowkey.data.labelled import Truth
from lowkey.errors import shown
from lowkey.experiments.balance import counts_of, is_skewed
from lowkey.experiments.config import FinetuneRecipe
from lowkey.experiments.learners import Learner
from lowkey.pipelines.classifier import TextClassifier
from lowkey.pipelines.decisions import Logits

_FEW_STEPS = 100


def collapse_note(
    learner: Learner, best: TextClassifier, logits: Logits, recipe: FinetuneRecipe, steps: int
) -> str | None:
    """Looks whether the best model says the same of all validation rows, though they differ.

    Args:
        learner: What was trained, with the rows.
        best: The model as it is kept.
        logits: What it says of the validation rows.
        recipe: How it was trained.
        steps: Updates made.

    Returns:
        One line about it; None if all is well, or the task is to give numbers.
    """
    truth = learner.validation.labels
    if truth is None or best.facts.kind == "regression":
        return None
    chosen = best.decision.choose(logits)
    if not _all_equal(chosen) or _all_equal(_table(truth)):
        return None
    names = best.facts.labels
    if chosen.ndim == 2:
        said = ", ".join(names[i] for i in np.flatnonzero(chosen[0]))
        said = shown(said) if said else "to have no label"
    else:
        said = shown(names[int(chosen[0])])
    return (
        f"the model has collapsed: all {len(chosen)} validation rows are said"
        f" {'' if said.startswith('to') else 'to be '}{said}; {_cause(learner, recipe, steps)}"
    )


def _all_equal(answers: Shaped[np.ndarray, "rows ..."]) -> bool:
    return bool((answers == answers[:1]).all())


def _table(truth: Truth) -> Shaped[np.ndarray, "rows ..."]:
    return truth.table if isinstance(truth, LabelSets) else truth


def _cause(learner: Learner, recipe: FinetuneRecipe, steps: int) -> str:
    """Names the likeliest causes and the way out: few steps, rare classes, else the rate."""
    train, truth = recipe.train, learner.train.labels
    assert truth is not None, "training examples have labels"
    causes, ways = [], []
    if steps < _FEW_STEPS:
        causes.append(f"{steps} steps are few")
        ways.append("raise train.num_train_epochs or train.max_steps")
    counts = counts_of(truth, len(learner.classifier.facts.labels))
    balanced = (train.class_weight, train.sampling) != ("none", "uniform")
    if counts is not None and is_skewed(counts) and not balanced:
        causes.append("the labels are skewed")
        ways.append("set train.class_weight: balanced")
    if not causes:
        odd, factor = ("low", 3.0) if recipe.method == "head" else ("high", 1 / 3)
        causes.append(f"the learning rate may be too {odd}")
        ways.append(f"try train.learning_rate: {factor * train.learning_rate:.2g}")
    return f"{' and '.join(causes)} — {', '.join(ways)}"
