r"""A linear map with a low-rank update: :math:`y = x W^\top + b + s \, (x A^\top) B^\top`.

With DoRA each row of :math:`V = W + s B A` gives the direction of an output, and a vector m of its
own the length: :math:`y = x (m \odot V / \lVert V \rVert)^\top + b`, norms by row.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lowkey.lora.config import LoRAConfig
from lowkey.lora.mergeable import Mergeable
from lowkey.lora.start import principal_factors, start_update
from lowkey.nn.dropout import Dropout, keep_bits, keep_where


class LoRALinear(nn.Linear, Mergeable):
    r"""A ``Linear`` that learns :math:`\Delta W = s B A` beside its own frozen weight.

    It adopts the parameters of the map it replaces, so their names in a checkpoint do not change;
    ``lora_A`` and ``lora_B`` come beside them under PEFT's names. A fresh adapter changes nothing:
    B A starts at zero, or, with ``pissa``, as a part that is taken out of the weight.

    Args:
        linear: The map to adapt; its parameters are taken over, not copied, but for the weight of
            a ``pissa``.
        config: Rank, scale, dropout and start.
        generator: Source of randomness for the update; torch's global one if None.

    References:
        Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021, equation 3;
        Kalajdzievski, "A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA", 2023;
        Liu et al., "DoRA: Weight-Decomposed Low-Rank Adaptation", 2024, equation 5.

    Example:
        >>> linear = nn.Linear(6, 4)
        >>> adapted = LoRALinear(linear, LoRAConfig(r=2))
        >>> adapted.weight is linear.weight, adapted.delta_weight().shape
        (True, torch.Size([4, 6]))
    """

    initial_A: Tensor | None
    initial_B: Tensor | None

    def __init__(
        self, linear: nn.Linear, config: LoRAConfig, generator: torch.Generator | None = None
    ):
        # On the meta device nothing is allocated for the weight that is replaced at once.
        super().__init__(
            linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta"
        )
        self.weight = linear.weight
        self.bias = linear.bias
        device = linear.weight.device
        # In fp32 whatever the frozen weight is kept in: these are the parameters that train.
        self.lora_A = nn.Linear(linear.in_features, config.r, bias=False, device=device)
        self.lora_B = nn.Linear(config.r, linear.out_features, bias=False, device=device)
        self.lora_dropout = Dropout(config.lora_dropout)
        self.scaling = config.scaling
        # Not in checkpoints: they follow from the base.
        self.register_buffer("initial_A", None, persistent=False)
        self.register_buffer("initial_B", None, persistent=False)
        if config.init_lora_weights == "pissa":
            self._take_out_principal_part()
        else:
            start_update(self.lora_A.weight, self.lora_B.weight, config, generator)
        # PEFT's name. It begins as the norms of the rows, so that nothing changes.
        self.lora_magnitude_vector = nn.Parameter(self._norms()) if config.use_dora else None
        self._original: Tensor | None = None
        self.train(linear.training)

    @torch.no_grad()
    def _take_out_principal_part(self) -> None:
        a, b = principal_factors(self.weight, self.rank, self.scaling)
        self.lora_A.weight.copy_(a)
        self.lora_B.weight.copy_(b)
        rest = (self.weight.float() - self.delta_weight()).to(self.weight.dtype)
        # A parameter of its own: another module may share the one it was.
        self.weight = nn.Parameter(rest, requires_grad=self.weight.requires_grad)
        self.initial_A, self.initial_B = a, b

    @property
    def rank(self) -> int:
        """Rank of the update: rows of A, columns of B."""
        return self.lora_A.out_features

    def forward(self, input: Float[Tensor, "*rows in_features"]) -> Float[Tensor, "*rows out"]:
        """Maps each row, update included.

        Args:
            input: Rows of features.

        Returns:
            Rows of the same precision.
        """
        if self.merged:
            bias = None if self.bias is None else self.bias.to(input.dtype)
            return F.linear(input, self.weight.to(input.dtype), bias)
        if self.lora_magnitude_vector is not None:
            return self._directed(input, self.lora_magnitude_vector)
        output = _LoRAFunction.apply(
            input.reshape(-1, self.in_features),
            self.weight,
            self.bias,
            self.lora_A.weight,
            self.lora_B.weight,
            self.scaling,
            self.lora_dropout.rate,
            self.lora_dropout.generator,
        )
        return output.view(*input.shape[:-1], self.out_features)

    def _directed(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Computes DoRA; as in PEFT, what the lengths add goes through the update's dropout."""
        gain = (lengths / self._norms()).to(x.dtype)
        dropped = self.lora_dropout(x)
        plain = F.linear(x, self.weight.to(x.dtype))
        low = F.linear(dropped, self.lora_A.weight.to(x.dtype))
        update = F.linear(low, self.lora_B.weight.to(x.dtype)) * self.scaling
        if dropped is x:
            output = gain * (plain + update)
        else:
            rotated = F.linear(dropped, self.weight.to(x.dtype))
            output = plain + (gain - 1) * rotated + gain * update
        return output if self.bias is None else output + self.bias.to(x.dtype)

    @torch.no_grad()
    def _norms(self) -> Float[Tensor, " out"]:
        """The length of each row of V; a constant to the gradient (section 4.3 of the paper)."""
        norms = (self.weight.float() + self.delta_weight()).norm(dim=1)
        return norms.clamp_min(torch.finfo(torch.float32).tiny)

    @torch.no_grad()
    def gain(self) -> Float[Tensor, " out"] | None:
        """Computes by what the lengths of a DoRA multiply the outputs, before the bias.

        Returns:
            A factor for each output; None for plain LoRA.
        """
        lengths = self.lora_magnitude_vector
        return None if lengths is None else lengths / self._norms()

    def delta_weight(self) -> Float[Tensor, "out in_features"]:
        """Computes the update of ``weight``, in fp32: the one place where it is written.

        Returns:
            :math:`s B A`.
        """
        return self.scaling * (self.lora_B.weight.float() @ self.lora_A.weight.float())

    @torch.no_grad()
    def adapted_weight(self) -> Float[Tensor, "out in_features"]:
        """Computes the one weight that does what weight and update do together.

        Returns:
            The weight that merging puts in place, in fp32.
        """
        if self.merged:
            return self.weight.float()
        weight = self.weight.float() + self.delta_weight()
        gain = self.gain()
        return weight if gain is None else gain[:, None] * weight

    def factors_against_base(
        self,
    ) -> tuple[Float[Tensor, "rank in_features"], Float[Tensor, "out rank"]]:
        r"""Gives the factors of what the map differs by from the one it was made from.

        Returns:
            A and B; for a ``pissa`` those of :math:`B A - B_0 A_0`, which have twice the rank.
        """
        a, b = self.lora_A.weight.detach(), self.lora_B.weight.detach()
        if self.initial_A is None or self.initial_B is None:
            return a, b
        return torch.cat([a, self.initial_A]), torch.cat([b, -self.initial_B], dim=1)


class _LoRAFunction(torch.autograd.Function):
    """Forward and backward written out: one dropped input is recomputed, not kept per layer."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        a: Tensor,
        b: Tensor,
        scaling: float,
        dropout: float,
        generator: torch.Generator | None,
    ) -> Tensor:
        x = x.contiguous()
        keep = keep_bits(tuple(x.shape), dropout, generator, x.device) if dropout else None
        dropped = x if keep is None else keep_where(x, keep, dropout)
        low = dropped @ a.to(x.dtype).t()
        output = F.linear(x, weight.to(x.dtype), None if bias is None else bias.to(x.dtype))
        output.addmm_(low, b.to(x.dtype).t(), alpha=scaling)
        ctx.save_for_backward(x, weight, bias, a, b, keep, low)
        ctx.scaling, ctx.dropout = scaling, dropout
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # pyrefly: ignore[bad-override] # once_differentiable forgets the name ctx
        x, weight, bias, a, b, keep, low = ctx.saved_tensors
        grad = grad_outputs[0].contiguous()
        low_grad = (grad @ b.to(grad.dtype)).mul_(ctx.scaling)
        dropped = x if keep is None else keep_where(x, keep, ctx.dropout)
        da = (low_grad.t() @ dropped).to(a.dtype)
        db = (grad.t() @ low).mul_(ctx.scaling).to(b.dtype)
        dx = dw = dbias = None
        if ctx.needs_input_grad[0]:
            dx = grad @ weight.to(grad.dtype)
            through = low_grad @ a.to(grad.dtype)
            dx.add_(through if keep is None else keep_where(through, keep, ctx.dropout))
        if ctx.needs_input_grad[1]:
            dw = (grad.t() @ x).to(weight.dtype)
        if bias is not None and ctx.needs_input_grad[2]:
            dbias = grad.sum(0).to(bias.dtype)
        return dx, dw, dbias, da, db, None, None, None
