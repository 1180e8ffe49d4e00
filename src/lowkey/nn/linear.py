"""Linear maps and normalisation that compute in the precision of their input.

A weight may be kept in another precision than the activations: fp32 master weights under bf16
activations in training, bf16 frozen weights under LoRA. The cast happens at use, inside autograd,
so a gradient arrives in the precision of the weight. Where both agree the cast is no operation.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class Linear(nn.Linear):
    """``y = x W^T + b`` in the precision of ``x``; names and initialisation are torch's."""

    def forward(self, input: Float[Tensor, "*rows in_features"]) -> Float[Tensor, "*rows out"]:
        """Maps each row.

        Args:
            input: Rows of features.

        Returns:
            Rows of the same precision.
        """
        bias = None if self.bias is None else self.bias.to(input.dtype)
        return F.linear(input, self.weight.to(input.dtype), bias)


class LayerNorm(nn.LayerNorm):
    """Layer normalisation (Ba et al., 2016) with the biased variance, as torch and BERT have it."""

    def forward(self, input: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_model"]:
        """Normalises each row over its features.

        Args:
            input: Rows of features.

        Returns:
            Rows of the same precision.
        """
        weight, bias = self.weight.to(input.dtype), self.bias.to(input.dtype)
        return F.layer_norm(input, self.normalized_shape, weight, bias, self.eps)
