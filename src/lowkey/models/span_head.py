"""The head that finds answers: how well each token begins and ends one."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lowkey.models.encoder import Encoder, initialise_as_bert
from lowkey.nn.dropout import Dropout
from lowkey.nn.layout import SequenceLayout
from lowkey.nn.linear import Linear


class SpanClassifier(nn.Module):
    """Two scores for each token: as the first and as the last of an answer.

        logits = classifier(dropout(hidden))

    The families of encoders share this head; none of them has a pooler or a transform in it.

    Args:
        encoder: The encoder.
        dropout: Probability that one feature of a hidden state is dropped.

    References:
        Devlin et al., "BERT", 2019, section 4.2.
    """

    def __init__(self, encoder: Encoder, dropout: float = 0.0):
        super().__init__()
        self.encoder = encoder
        self.dropout = Dropout(dropout)
        self.classifier = Linear(encoder.config.d_model, 2)
        initialise_as_bert(self.classifier)

    @property
    def head(self) -> list[nn.Module]:
        """The modules that a task trains from nothing."""
        return [self.classifier]

    def compute_in(self, dtype: torch.dtype) -> "SpanClassifier":
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
    ) -> Float[Tensor, "tokens 2"]:
        """Scores the tokens.

        Args:
            input_ids: Flat token ids.
            layout: Their windows.
            segment_ids: Segment of each token; the first one if None.

        Returns:
            Logits in fp32, whatever the encoder computes in: the head is small and last.
        """
        hidden = self.encoder(input_ids, layout, segment_ids)
        return self.classifier(self.dropout(hidden.float()))
