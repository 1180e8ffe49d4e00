"""What stands on an encoder to solve a task."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lowkey.models.config import HeadActivation, Pooling
from lowkey.models.encoder import Encoder, initialise_as_bert
from lowkey.nn.dropout import Dropout
from lowkey.nn.feed_forward import ACTIVATIONS
from lowkey.nn.layout import SequenceLayout
from lowkey.nn.linear import Linear
from lowkey.nn.pooling import summarise

_ACTIVATIONS = ACTIVATIONS | {"tanh": torch.tanh}


class Transform(nn.Module):
    """A map and a non-linearity between the first token and the classifier.

    Args:
        d_model: Width, in features.
        activation: tanh in RoBERTa, gelu in ELECTRA, relu in DistilBERT.
        dropout: Probability that one feature is dropped before the map.
    """

    def __init__(self, d_model: int, activation: HeadActivation, dropout: float):
        super().__init__()
        self.dropout = Dropout(dropout)
        self.dense = Linear(d_model, d_model)
        self.activation = _ACTIVATIONS[activation]

    def forward(
        self, pooled: Float[Tensor, "sentences d_model"]
    ) -> Float[Tensor, "sentences d_model"]:
        """Transforms the first tokens.

        Args:
            pooled: One row per sentence.

        Returns:
            One row per sentence.
        """
        return self.activation(self.dense(self.dropout(pooled)))


class SequenceClassifier(nn.Module):
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
        pooling: "auto" for the head of the family; "first", "mean" or "max" for a summary.

    Raises:
        ValueError: If there is a pooler or a transform beside another pooling than "auto".

    References:
        Devlin et al., "BERT", 2019, section 4.1; the transforms as the families' published code
        has them.
    """

    def __init__(
        self,
        encoder: Encoder,
        num_labels: int,
        dropout: float = 0.1,
        *,
        transform: HeadActivation | None = None,
        transform_dropout: float = 0.0,
        pooling: Pooling = "auto",
    ):
        super().__init__()
        if pooling != "auto" and (encoder.pooler is not None or transform is not None):
            raise ValueError(f"pooling {pooling} takes the place of pooler and transform")
        self.pooling: Pooling = pooling
        self.encoder = encoder
        d_model = encoder.config.d_model
        self.transform = None
        if transform is not None:
            self.transform = Transform(d_model, transform, transform_dropout)
        self.dropout = Dropout(dropout)
        self.classifier = Linear(d_model, num_labels)
        for module in self.head:
            module.apply(initialise_as_bert)

    @property
    def head(self) -> list[nn.Module]:
        """The modules that a task trains from nothing."""
        return [m for m in (self.transform, self.classifier) if m is not None]

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
        if self.pooling != "auto":
            return self.classifier(self.dropout(summarise(hidden, layout, self.pooling)))
        pooled = self.encoder.pool(hidden, layout).float()
        if self.transform is not None:
            pooled = self.transform(pooled)
        return self.classifier(self.dropout(pooled))


class TokenClassifier(nn.Module):
    """One score per label for each word: a linear map on the hidden state of its first sub-word.

        logits = classifier(dropout(hidden))

    The families of encoders share this head; none of them has a pooler or a transform in it.

    Args:
        encoder: The encoder.
        num_labels: Number of labels, at least 2.
        dropout: Probability that one feature of a hidden state is dropped.

    References:
        Devlin et al., "BERT", 2019, section 5.3.
    """

    def __init__(self, encoder: Encoder, num_labels: int, dropout: float = 0.1):
        super().__init__()
        self.encoder = encoder
        self.dropout = Dropout(dropout)
        self.classifier = Linear(encoder.config.d_model, num_labels)
        initialise_as_bert(self.classifier)

    @property
    def head(self) -> list[nn.Module]:
        """The modules that a task trains from nothing."""
        return [self.classifier]

    def compute_in(self, dtype: torch.dtype) -> "TokenClassifier":
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
        chosen = hidden if rows is None else hidden[rows]
        return self.classifier(self.dropout(chosen.float()))
