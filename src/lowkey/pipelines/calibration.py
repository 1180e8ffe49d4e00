"""Fits what makes the probabilities of a classifier honest, on rows it was not trained on."""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor

from lowkey.data.label_sets import LabelSets
from lowkey.data.labelled import Truth
from lowkey.metrics.calibration import best_threshold, expected_calibration_error
from lowkey.pipelines.bundle import MAX_TEMPERATURE, Calibration, Facts
from lowkey.pipelines.decisions import Classes, Logits, SetsOfLabels, decision_of


def calibrated(facts: Facts, logits: Logits, truth: Truth) -> Calibration:
    """Fits a temperature, and thresholds where labels are yes or no.

    Args:
        facts: What the model was trained for: classes, or sets of labels.
        logits: Its logits of rows that it was not trained on, and that no score is of.
        truth: What is true of them.

    Returns:
        The temperature; for two classes the threshold of the second with the best macro F1, for
        sets of labels the one of each with the best F1; and how far the probabilities were, and
        are, from the truth.

    References:
        Guo et al., "On Calibration of Modern Neural Networks", 2017, section 4.2.
    """
    facts = facts.model_copy(update={"calibration": None})  # perhaps this is not the first time
    before = _error(facts, logits, truth)
    target = truth.table if isinstance(truth, LabelSets) else truth
    found = Calibration(
        temperature=fit_temperature(logits, target),
        error_before=before,
        error_after=before,
        rows=len(logits),
    )
    after = facts.model_copy(update={"calibration": found})
    decision = decision_of(after)
    assert isinstance(decision, Classes | SetsOfLabels), "numbers have no probabilities"
    sure = decision.probabilities(logits)
    thresholds: list[float] = []
    if isinstance(truth, LabelSets):
        columns = zip(sure.T, truth.table.T, strict=True)
        thresholds = [best_threshold(*column) for column in columns]
    elif len(facts.labels) == 2:
        thresholds = [best_threshold(sure[:, 1], np.asarray(target) == 1, both=True)]
    changes = {"thresholds": thresholds, "error_after": _error(after, logits, truth)}
    return found.model_copy(update=changes)


def fit_temperature(logits: Logits, truth: Shaped[np.ndarray, "rows ..."]) -> float:
    """Finds the number to divide logits by so that the truth becomes likeliest.

    Args:
        logits: One row for each text.
        truth: The class of each, or whether each label holds.

    Returns:
        The temperature, within what a bundle may hold. Where all answers are right there is no
        best one, and the least comes out.
    """
    scores = torch.from_numpy(logits).double()
    target = torch.from_numpy(truth)

    def loss(log_temperature: Float[Tensor, ""]) -> Float[Tensor, ""]:
        scaled = scores * (-log_temperature).exp()
        if target.ndim == 2:
            return F.binary_cross_entropy_with_logits(scaled, target.double())
        return F.cross_entropy(scaled, target)

    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    # The temperature alone is free, and the loss has one minimum in its inverse.
    optimizer = torch.optim.LBFGS(
        [log_temperature], max_iter=200, tolerance_grad=1e-9, line_search_fn="strong_wolfe"
    )

    def closure() -> float:
        optimizer.zero_grad()
        value = loss(log_temperature)
        value.backward()
        return float(value.detach())

    with torch.enable_grad():
        optimizer.step(closure)
    found = float(log_temperature.detach().exp())
    return min(max(found, 1 / MAX_TEMPERATURE), MAX_TEMPERATURE)


def _error(facts: Facts, logits: Logits, truth: Truth) -> float:
    """Measures the calibration of the likeliest classes, or of every yes and no."""
    decision = decision_of(facts)
    assert isinstance(decision, Classes | SetsOfLabels), "numbers have no probabilities"
    sure = decision.probabilities(logits)
    if isinstance(truth, LabelSets):
        return expected_calibration_error(sure.ravel(), truth.table.ravel())
    return expected_calibration_error(sure.max(1), sure.argmax(1) == truth)
