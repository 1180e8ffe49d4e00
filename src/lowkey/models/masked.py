"""A head that says which token belongs where one is masked: BERT's task of pre-training."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lowkey.models.config import Activation
from lowkey.models.encoder import Encoder, initialise_as_bert
from lowkey.models.headed import HeadedEncoder
from lowkey.nn.embeddings import tied_logits
from lowkey.nn.feed_forward import ACTIVATIONS
from lowkey.nn.layout import SequenceLayout
from lowkey.nn.linear import LayerNorm, Linear


class Prediction(nn.Module):
    """Scores every token of the vocabulary, with the embedding table as its last map.

        logits = norm(activation(dense(hidden))) E^T + bias

    Args:
        d_model: Width of the hidden states, in features.
        width: Width of the embedding table, in features.
        vocab_size: Number of tokens.
        activation: Non-linearity behind the map.
        norm_eps: What layer normalisation adds to the variance.
    """

    def __init__(
        self, d_model: int, width: int, vocab_size: int, activation: Activation, norm_eps: float
    ):
        super().__init__()
        self.dense = Linear(d_model, width)
        self.activation = ACTIVATIONS[activation]
        self.norm = LayerNorm(width, eps=norm_eps)
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(
        self, hidden: Float[Tensor, "tokens d_model"], table: nn.Embedding
    ) -> Float[Tensor, "tokens vocab"]:
        """Scores the vocabulary.

        Args:
            hidden: Hidden states.
            table: The embeddings of the tokens.

        Returns:
            Logits, in the precision of ``hidden``.
        """
        return tied_logits(self.norm(self.activation(self.dense(hidden))), table) + self.bias


class MaskedLanguageModel(HeadedEncoder):
    """An encoder with the head of its pre-training, which is tied to its embeddings.

    Args:
        encoder: The encoder; it needs no pooler.
        activation: Non-linearity of the head; None: that of the encoder.

    References:
        Devlin et al., "BERT", 2019, section 3.1 (task 1).
    """

    def __init__(self, encoder: Encoder, activation: Activation | None = None):
        super().__init__(encoder)
        encoder.embeddings.token.tied = True
        sizes = encoder.config
        self.prediction = Prediction(
            sizes.d_model,
            sizes.embedding_size or sizes.d_model,
            sizes.vocab_size,
            activation or sizes.activation,
            sizes.norm_eps,
        )
        self.prediction.apply(initialise_as_bert)

    @property
    def head(self) -> list[nn.Module]:
        """The modules behind the encoder."""
        return [self.prediction]

    def forward(
        self,
        input_ids: Int[Tensor, " tokens"],
        layout: SequenceLayout,
        rows: Int[Tensor, " chosen"] | None = None,
        segment_ids: Int[Tensor, " tokens"] | None = None,
    ) -> Float[Tensor, "chosen vocab"]:
        """Scores the vocabulary for some tokens.

        Args:
            input_ids: Flat token ids, some of them masked.
            layout: Their sentences.
            rows: The tokens to score, by their row in the batch; every token if None.
            segment_ids: Segment of each token; the first one if None.

        Returns:
            Logits in fp32, whatever the encoder computes in.
        """
        hidden = self.encoder(input_ids, layout, segment_ids)
        chosen = hidden if rows is None else hidden[rows]
        return self.prediction(chosen.float(), self.encoder.embeddings.token)
