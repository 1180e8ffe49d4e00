"""The head that finds answers: how well each token begins and ends one."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lowkey.models.config import HeadActivation
from lowkey.models.encoder import Encoder, initialise_as_bert
from lowkey.models.heads import Transform
from lowkey.nn.dropout import Dropout
from lowkey.nn.layout import SequenceLayout
from lowkey.nn.linear import Linear


class SpanClassifier(nn.Module):
    """Two scores for each token: as the first and as the last of an answer.

        logits = classifier(dropout(hidden))

    The families of encoders share this head, without a pooler; ModernBERT alone brings its
    normalised transform.

    Args:
        encoder: The encoder.
        dropout: Probability that one feature of a hidden state is dropped.
        transform: Non-linearity of the transform; None: there is no transform.

    References:
        Devlin et al., "BERT", 2019, section 4.2.
    """

    def __init__(
        self, encoder: Encoder, dropout: float = 0.0, *, transform: HeadActivation | None = None
    ):
        super().__init__()
        self.encoder = encoder
        self.transform = None
        if transform is not None:
            self.transform = Transform(encoder.config, transform, normalised=True)
        self.dropout = Dropout(dropout)
        self.classifier = Linear(encoder.config.d_model, 2)
        for module in self.head:
            module.apply(initialise_as_bert)

    @property
    def head(self) -> list[nn.Module]:
        """The modules that a task trains from nothing."""
        return [m for m in (self.transform, self.classifier) if m is not None]

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
        hidden = self.encoder(input_ids, layout, segment_ids).float()
        if self.transform is not None:
            hidden = self.transform(hidden)
        return self.classifier(self.dropout(hidden))
