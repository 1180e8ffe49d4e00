"""What stands on an encoder to solve a task."""

from collections.abc import Mapping
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from lowkey.models.config import HeadActivation, Pooling
from lowkey.models.encoder import Encoder
from lowkey.models.headed import Classifier, Transform
from lowkey.nn.layout import SequenceLayout
from lowkey.nn.pooling import summarise

_ENCODER_ROWS = {
    "encoder.embeddings": "tokens",
    "encoder.blocks": "tokens",
    "encoder.pooler": "sentences",
}


class SequenceClassifier(Classifier):
    """One score per label for each text or pair of texts; with one label, a regression.

    BERT's head is one linear map on the pooled sentence. The encoders that were published without
    a pooler bring a map of their own, the transform:

        logits = classifier(dropout(transform(first token)))

    With a pooling of its own the classifier reads a summary of the hidden states as it is:

        logits = classifier(dropout(summary of the tokens))

    Args:
        encoder: The encoder; without a pooler where the pooling is not "auto".
        num_labels: Number of labels; 1 for a regression.
        dropout: Probability that one feature of the pooled text is dropped.
        transform: Non-linearity of the transform; None: there is no transform.
        transform_dropout: Probability that one feature is dropped before the transform.
        transform_norm: Whether a normalisation follows the transform.
        pooling: "auto" for the head of the family; "first", "mean" or "max" for a summary.

    Raises:
        ValueError: If there is a pooler or a transform beside another pooling than "auto".

    References:
        Devlin et al., "BERT", 2019, section 4.1; the transforms as the families' published code
        has them.
    """

    # What one row is to the maps of each part, by the first parts of their names.
    row_kinds: ClassVar[Mapping[str, str]] = {
        **_ENCODER_ROWS,
        "transform": "sentences",
        "classifier": "sentences",
    }

    def __init__(
        self,
        encoder: Encoder,
        num_labels: int,
        dropout: float = 0.1,
        *,
        transform: HeadActivation | None = None,
        transform_dropout: float = 0.0,
        transform_norm: bool = False,
        pooling: Pooling = "auto",
    ):
        if pooling != "auto" and (encoder.pooler is not None or transform is not None):
            raise ValueError(f"pooling {pooling} takes the place of pooler and transform")
        made = None
        if transform is not None:
            made = Transform(
                encoder.config, transform, transform_dropout, normalised=transform_norm
            )
        super().__init__(encoder, num_labels, dropout, made)
        self.pooling: Pooling = pooling

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
        if self.pooling != "auto":
            return self.scores(summarise(hidden, layout, self.pooling))
        return self.scores(self.encoder.pool(hidden, layout))


class TokenClassifier(Classifier):
    """One score per label for each word: a linear map on the hidden state of its first sub-word.

        logits = classifier(dropout(hidden))

    The families of encoders share this head, without a pooler; ModernBERT alone brings its
    normalised transform.

    Args:
        encoder: The encoder.
        num_labels: Number of labels, at least 2.
        dropout: Probability that one feature of a hidden state is dropped.
        transform: Non-linearity of the transform; None: there is no transform.

    References:
        Devlin et al., "BERT", 2019, section 5.3.
    """

    row_kinds: ClassVar[Mapping[str, str]] = {
        **_ENCODER_ROWS,
        "transform": "words",
        "classifier": "words",
    }

    def __init__(
        self,
        encoder: Encoder,
        num_labels: int,
        dropout: float = 0.1,
        *,
        transform: HeadActivation | None = None,
    ):
        made = None
        if transform is not None:
            made = Transform(encoder.config, transform, normalised=True)
        super().__init__(encoder, num_labels, dropout, made)

    def forward(
        self,
        input_ids: Int[Tensor, " tokens"],
        layout: SequenceLayout,
        rows: Int[Tensor, " words"] | None = None,
        segment_ids: Int[Tensor, " tokens"] | None = None,
    ) -> Float[Tensor, "words labels"]:
        """Scores the labels.

        Args:
            input_ids: Flat token ids.
            layout: Their sentences.
            rows: The tokens to score, by their row in the batch: the first sub-words of the words;
                every token if None.
            segment_ids: Segment of each token; the first one if None.

        Returns:
            Logits in fp32, whatever the encoder computes in: the head is small and last.
        """
        hidden = self.encoder(input_ids, layout, segment_ids)
        return self.scores(hidden if rows is None else hidden[rows])
