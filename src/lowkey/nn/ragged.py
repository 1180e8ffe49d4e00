"""Means and log-probabilities over groups of rows, without padding the groups to one length."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lowkey.nn.layout import SequenceLayout


def mean_of_groups(
    rows: Float[Tensor, "rows columns"], groups: Int[Tensor, " rows"], num_groups: int
) -> Float[Tensor, "groups columns"]:
    """Computes the mean of the rows of each group.

    Args:
        rows: The rows.
        groups: The group of each row, from 0; each group has a row.
        num_groups: How many groups there are.

    Returns:
        One row per group.

    Example:
        >>> mean_of_groups(torch.tensor([[1.0], [3.0], [5.0]]), torch.tensor([0, 0, 1]), 2).tolist()
        [[2.0], [5.0]]
    """
    sums = rows.new_zeros(num_groups, rows.shape[1]).index_add(0, groups, rows)
    return sums / torch.bincount(groups, minlength=num_groups).unsqueeze(1)


def ragged_log_softmax(
    scores: Float[Tensor, "tokens columns"], layout: SequenceLayout
) -> Float[Tensor, "tokens columns"]:
    """Computes log-probabilities over the tokens of each sentence, in each column by itself.

    Args:
        scores: Unnormalised log-probabilities.
        layout: The sentences.

    Returns:
        Their logarithms, the exponentials of which sum to 1 over each sentence.

    Example:
        >>> scores = ragged_log_softmax(torch.zeros(3, 1), SequenceLayout([1, 2]))
        >>> scores.exp().flatten().tolist()
        [1.0, 0.5, 0.5]
    """
    ids, shape = layout.sentence_ids, (layout.num_sentences, scores.shape[1])
    # The largest score is taken off first: it changes no result and keeps exp() finite.
    fixed = scores.detach()
    largest = fixed.new_full(shape, -torch.inf)
    largest = largest.scatter_reduce(0, ids.unsqueeze(1).expand_as(fixed), fixed, "amax")
    shifted = scores - largest[ids]
    sums = shifted.new_zeros(shape).index_add(0, ids, shifted.exp())
    return shifted - sums.log()[ids]
