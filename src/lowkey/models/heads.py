"""What stands on an encoder to solve a task."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lowkey.models.encoder import Encoder, initialise_as_bert
from lowkey.nn.dropout import Dropout
from lowkey.nn.layout import SequenceLayout
from lowkey.nn.linear import Linear


class SequenceClassifier(nn.Module):
    """One score per label for each text or pair of texts; with one label, a regression.

    Args:
        encoder: The encoder.
        num_labels: Number of labels; 1 for a regression.
        dropout: Probability that one feature of the pooled text is dropped.
    """

    def __init__(self, encoder: Encoder, num_labels: int, dropout: float = 0.1):
        super().__init__()
        self.encoder = encoder
        self.dropout = Dropout(dropout)
        self.classifier = Linear(encoder.config.d_model, num_labels)
        initialise_as_bert(self.classifier)

    def compute_in(self, dtype: torch.dtype) -> "SequenceClassifier":
        """Chooses the precision of the activations; the weights stay in theirs.

        Args:
            dtype: torch.float32 or torch.bfloat16.

        Returns:
            The classifier itself.
        """
        self.encoder.compute_in(dtype)
        return self

    def forward(
        self,
        input_ids: Int[Tensor, " tokens"],
        layout: SequenceLayout,
        segment_ids: Int[Tensor, " tokens"] | None = None,
    ) -> Float[Tensor, "sentences labels"]:
        """Scores the labels.

        Args:
            input_ids: Flat token ids.
            layout: Their sentences.
            segment_ids: Segment of each token; the first one if None.

        Returns:
            Logits in fp32, whatever the encoder computes in: the head is small and last.
        """
        hidden = self.encoder(input_ids, layout, segment_ids)
        pooled = self.encoder.pool(hidden, layout)
        return self.classifier(self.dropout(pooled.float()))
