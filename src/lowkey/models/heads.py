"""What stands on an encoder to solve a task."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lowkey.models.config import EncoderConfig, HeadActivation, Pooling
from lowkey.models.encoder import Encoder, initialise_as_bert
from lowkey.nn.dropout import Dropout
from lowkey.nn.feed_forward import ACTIVATIONS
from lowkey.nn.layout import SequenceLayout
from lowkey.nn.linear import LayerNorm, Linear
from lowkey.nn.pooling import summarise

_ACTIVATIONS = ACTIVATIONS | {"tanh": torch.tanh}
_ENCODER_ROWS = {
    "encoder.embeddings": "tokens",
    "encoder.blocks": "tokens",
    "encoder.pooler": "sentences",
}


class Transform(nn.Module):
    """A map and a non-linearity between the encoder and the classifier.

    Args:
        config: The encoder, whose width and biases the map shares.
        activation: tanh in RoBERTa, gelu in ELECTRA, relu in DistilBERT.
        dropout: Probability that one feature is dropped before the map.
        normalised: Whether a normalisation follows (ModernBERT).
    """

    def __init__(
        self,
        config: EncoderConfig,
        activation: HeadActivation,
        dropout: float = 0.0,
        *,
        normalised: bool = False,
    ):
        super().__init__()
        width, bias = config.d_model, config.bias
        self.dropout = Dropout(dropout)
        self.dense = Linear(width, width, bias=bias)
        self.activation = _ACTIVATIONS[activation]
        self.norm = LayerNorm(width, eps=config.norm_eps, bias=bias) if normalised else None

    def forward(self, hidden: Float[Tensor, "rows d_model"]) -> Float[Tensor, "rows d_model"]:
        """Transforms sentences or words.

        Args:
            hidden: A row for each.

        Returns:
            A row for each.
        """
        transformed = self.activation(self.dense(self.dropout(hidden)))
        return transformed if self.norm is None else self.norm(transformed)


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
        super().__init__()
        if pooling != "auto" and (encoder.pooler is not None or transform is not None):
            raise ValueError(f"pooling {pooling} takes the place of pooler and transform")
        self.pooling: Pooling = pooling
        self.encoder = encoder
        self.transform = None
        if transform is not None:
            self.transform = Transform(
                encoder.config, transform, transform_dropout, normalised=transform_norm
            )
        self.dropout = Dropout(dropout)
        self.classifier = Linear(encoder.config.d_model, num_labels)
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
        super().__init__()
        self.encoder = encoder
        self.transform = None
        if transform is not None:
            self.transform = Transform(encoder.config, transform, normalised=True)
        self.dropout = Dropout(dropout)
        self.classifier = Linear(encoder.config.d_model, num_labels)
        for module in self.head:
            module.apply(initialise_as_bert)

    @property
    def head(self) -> list[nn.Module]:
        """The modules that a task trains from nothing."""
        return [m for m in (self.transform, self.classifier) if m is not None]

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
        chosen = (hidden if rows is None else hidden[rows]).float()
        if self.transform is not None:
            chosen = self.transform(chosen)
        return self.classifier(self.dropout(chosen))
