"""One vector for each sentence, from those of its tokens; without padding there is no mask."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from lowkey.nn.layout import SequenceLayout

Summary = Literal["first", "mean", "max"]


def summarise(
    hidden: Float[Tensor, "tokens d_model"], layout: SequenceLayout, how: Summary
) -> Float[Tensor, "sentences d_model"]:
    """Summarises each sentence.

    Args:
        hidden: One vector per token.
        layout: Their sentences.
        how: "first" takes the first token, "mean" and "max" the mean or the greatest value of each
            feature over all tokens of the sentence, special ones included.

    Returns:
        One vector per sentence, in fp32.

    Example:
        >>> summarise(torch.tensor([[1.0], [3.0], [8.0]]), SequenceLayout([2, 1]), "mean").tolist()
        [[2.0], [8.0]]
    """
    if how == "first":
        return hidden[layout.starts].float()
    lengths = layout.lengths.to(hidden.device)
    return torch.segment_reduce(hidden.float(), how, lengths=lengths, axis=0)
