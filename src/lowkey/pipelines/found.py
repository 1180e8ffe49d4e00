"""From the scores of the tokens of windows to one answer for each question."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64

from lowkey.data.questions import NOWHERE, QuestionExamples
from lowkey.decoding.spans import best_spans
from lowkey.nn.layout import SequenceLayout
from lowkey.nn.ragged import ragged_log_softmax

# Where there is nothing to be found that is certain, but a margin stays a number.
_CERTAIN = 1e9


@dataclass(frozen=True, eq=False)
class Found:
    """What was found for each question.

    Attributes:
        starts: The character at which the best answer begins.
        ends: The character behind it; not behind the start, if there is none to be found.
        margins: By how much no answer is likelier than the best one, in logits.
        scores: Probability of the best answer in its window.
        null_scores: Probability of no answer, in the window in which it is least likely.
    """

    starts: Int64[np.ndarray, " questions"]
    ends: Int64[np.ndarray, " questions"]
    margins: Float64[np.ndarray, " questions"]
    scores: Float64[np.ndarray, " questions"]
    null_scores: Float64[np.ndarray, " questions"]


def best_answers(
    logits: Float32[np.ndarray, "tokens 2"], examples: QuestionExamples, max_tokens: int
) -> Found:
    """Takes the best span of all windows of each question, and compares it with no answer.

    Args:
        logits: How well each token of all windows begins an answer, and how well it ends one.
        examples: The windows.
        max_tokens: Most tokens of an answer.

    Returns:
        One answer for each question.

    References:
        Devlin et al., "BERT", 2019, sections 4.2 and 4.3.
    """
    begins, lengths = examples.tokens.starts, examples.lengths
    spans = best_spans(logits, examples.starts != NOWHERE, lengths, max_tokens)
    layout = SequenceLayout(torch.from_numpy(lengths))
    log_p = ragged_log_softmax(torch.from_numpy(logits), layout).double().numpy()
    # The begin token stands for no answer, at both ends.
    nulls = logits[begins].astype(np.float64).sum(axis=1)
    # Two windows of each question: where its best answer stands, and where none is least likely.
    cuts = np.cumsum(examples.windows) - examples.windows
    owned = list(zip(cuts, examples.windows, strict=True))
    best = np.array([cut + spans.scores[cut : cut + n].argmax() for cut, n in owned])
    least = np.array([cut + nulls[cut : cut + n].argmin() for cut, n in owned])
    first, last = spans.first[best], spans.last[best]
    nothing = np.isneginf(spans.scores[best])
    return Found(
        starts=np.where(nothing, 0, examples.starts[first]),
        ends=np.where(nothing, 0, examples.ends[last]),
        margins=np.where(nothing, _CERTAIN, nulls[least] - spans.scores[best]),
        scores=np.where(nothing, 0.0, np.exp(log_p[first, 0] + log_p[last, 1])),
        null_scores=np.exp(log_p[begins[least]].sum(axis=1)),
    )
