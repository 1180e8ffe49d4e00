"""The head that finds answers: how well each token begins and ends one."""

from jaxtyping import Float, Int
from torch import Tensor

from lowkey.models.config import HeadActivation
from lowkey.models.encoder import Encoder
from lowkey.models.headed import Classifier, Transform
from lowkey.nn.layout import SequenceLayout


class SpanClassifier(Classifier):
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
        made = None
        if transform is not None:
            made = Transform(encoder.config, transform, normalised=True)
        super().__init__(encoder, 2, dropout, made)

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
        return self.scores(self.encoder(input_ids, layout, segment_ids))
