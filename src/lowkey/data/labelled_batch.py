"""Some labelled examples as a model takes them: flat, end to end."""

from dataclasses import dataclass

from jaxtyping import Float, Integer
from torch import Tensor

from lowkey.nn.layout import SequenceLayout


@dataclass(frozen=True, eq=False)
class LabelledBatch:
    """Some examples as the model takes them.

    Attributes:
        input_ids: The token ids of all sentences, end to end.
        layout: Where each sentence lies.
        segment_ids: Which text of its pair each token belongs to; None for single texts.
        labels: The class of each example; for regression its number; for sets of labels 1 where
            a label holds and 0 where not; None without labels.
        owners: Where long texts are read in windows, the example that each sentence is of, from 0;
            None if each sentence is an example.
    """

    input_ids: Integer[Tensor, " tokens"]
    layout: SequenceLayout
    segment_ids: Integer[Tensor, " tokens"] | None
    labels: (
        Integer[Tensor, " examples"]
        | Float[Tensor, " examples"]
        | Float[Tensor, "examples labels"]
        | None
    )
    owners: Integer[Tensor, " sentences"] | None = None
