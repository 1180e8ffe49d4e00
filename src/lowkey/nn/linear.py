"""Linear maps, tables and normalisation; maps compute in the precision of their input.

A weight may be kept in another precision than the activations: fp32 master weights under bf16
activations in training, bf16 frozen weights under LoRA. The cast happens at use, inside autograd,
so a gradient arrives in the precision of the weight. Where both agree the cast is no operation.

On the meta device, where a model is laid out before its file is read, nothing is drawn: drawing
nothing would still make torch load its compiler, a second or two at every start.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def normal_(parameter: Tensor, std: float) -> None:
    """Draws a parameter from a normal distribution around 0, unless it is on the meta device.

    Args:
        parameter: Changed in place.
        std: Standard deviation.
    """
    if not parameter.is_meta:
        nn.init.normal_(parameter, std=std)


class Linear(nn.Linear):
    """``y = x W^T + b`` in the precision of ``x``; names and initialisation are torch's."""

    def reset_parameters(self) -> None:
        """Draws weight and bias as torch does, unless on the meta device."""
        if not self.weight.is_meta:
            super().reset_parameters()

    def forward(self, input: Float[Tensor, "*rows in_features"]) -> Float[Tensor, "*rows out"]:
        """Maps each row.

        Args:
            input: Rows of features.

        Returns:
            Rows of the same precision.
        """
        bias = None if self.bias is None else self.bias.to(input.dtype)
        return F.linear(input, self.weight.to(input.dtype), bias)


class Embedding(nn.Embedding):
    """One vector per id; names and initialisation are torch's."""

    # Whether something else than looking ids up uses the weight, such as a tied output.
    tied = False

    def reset_parameters(self) -> None:
        """Draws the table as torch does, unless on the meta device."""
        if not self.weight.is_meta:
            super().reset_parameters()


class LayerNorm(nn.LayerNorm):
    """Layer normalisation (Ba et al., 2016) with the biased variance, as torch and BERT have it."""

    def forward(self, input: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_model"]:
        """Normalises each row over its features.

        Args:
            input: Rows of features.

        Returns:
            Rows of the same precision.
        """
        weight = self.weight.to(input.dtype)
        bias = None if self.bias is None else self.bias.to(input.dtype)
        return F.layer_norm(input, self.normalized_shape, weight, bias, self.eps)
