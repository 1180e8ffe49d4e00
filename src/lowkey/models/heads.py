"""What stands on an encoder to solve a task."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lowkey.models.config import Transform
from lowkey.models.encoder import Encoder, initialise_as_bert
from lowkey.nn.dropout import Dropout
from lowkey.nn.layout import SequenceLayout
from lowkey.nn.linear import Linear

_TRANSFORMS = {"tanh": torch.tanh, "gelu": nn.functional.gelu, "relu": torch.relu}


class SequenceClassifier(nn.Module):
    """One score per label for each text or pair of texts; with one label, a regression.

    BERT's head is one linear map on the pooled sentence. The encoders that were published without
    a pooler bring a map of their own, the transform:

        logits = classifier(dropout(activation(transform(first token))))

    Args:
        encoder: The encoder.
        num_labels: Number of labels; 1 for a regression.
        dropout: Probability that one feature of the pooled text is dropped.
        transform: Non-linearity after the transform (tanh in RoBERTa, gelu in ELECTRA, relu in
            DistilBERT); None: there is no transform.
        transform_dropout: Probability that one feature is dropped before the transform.

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
        transform: Transform | None = None,
        transform_dropout: float = 0.0,
    ):
        super().__init__()
        self.encoder = encoder
        d_model = encoder.config.d_model
        self.activation = transform
        self.transform = None if transform is None else Linear(d_model, d_model)
        self.transform_dropout = None if transform is None else Dropout(transform_dropout)
        self.dropout = Dropout(dropout)
        self.classifier = Linear(d_model, num_labels)
        for module in self.head:
            initialise_as_bert(module)

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
        pooled = self.encoder.pool(hidden, layout).float()
        if self.transform and self.transform_dropout and self.activation:
            transformed = self.transform(self.transform_dropout(pooled))
            pooled = _TRANSFORMS[self.activation](transformed)
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
