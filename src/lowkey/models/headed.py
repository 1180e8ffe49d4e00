"""What all models with a head on an encoder share."""

from abc import ABC, abstractmethod
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lowkey.models.config import EncoderConfig, HeadActivation
from lowkey.models.encoder import Encoder, initialise_as_bert
from lowkey.nn.dropout import Dropout
from lowkey.nn.feed_forward import ACTIVATIONS
from lowkey.nn.linear import LayerNorm, Linear

H = TypeVar("H", bound="HeadedEncoder")

_ACTIVATIONS = ACTIVATIONS | {"tanh": torch.tanh}


class HeadedEncoder(nn.Module, ABC):
    """An encoder with a head behind it.

    Args:
        encoder: The encoder.
    """

    def __init__(self, encoder: Encoder):
        super().__init__()
        self.encoder = encoder

    @property
    @abstractmethod
    def head(self) -> list[nn.Module]:
        """The modules behind the encoder."""

    def compute_in(self: H, dtype: torch.dtype) -> H:
        """Chooses the precision of the activations; the weights stay in theirs.

        Args:
            dtype: torch.float32 or torch.bfloat16.

        Returns:
            The model itself.
        """
        self.encoder.compute_in(dtype)
        return self


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


class Classifier(HeadedEncoder):
    """An encoder whose head is one linear map, perhaps with a transform in front of it.

        scores = classifier(dropout(transform(hidden)))

    Args:
        encoder: The encoder.
        num_outputs: Scores for each row.
        dropout: Probability that one feature is dropped before the last map.
        transform: What stands in front of it.
    """

    def __init__(
        self, encoder: Encoder, num_outputs: int, dropout: float, transform: Transform | None
    ):
        super().__init__(encoder)
        self.transform = transform
        self.dropout = Dropout(dropout)
        self.classifier = Linear(encoder.config.d_model, num_outputs)
        for module in self.head:
            module.apply(initialise_as_bert)

    @property
    def head(self) -> list[nn.Module]:
        """The modules that a task trains from nothing."""
        return [m for m in (self.transform, self.classifier) if m is not None]

    def scores(self, hidden: Float[Tensor, "rows d_model"]) -> Float[Tensor, "rows outputs"]:
        """Scores sentences, words or tokens.

        Args:
            hidden: A row for each.

        Returns:
            Logits in fp32, whatever the encoder computes in: the head is small and last.
        """
        hidden = hidden.float()
        if self.transform is not None:
            hidden = self.transform(hidden)
        return self.classifier(self.dropout(hidden))
