"""Updates that can become a part of the weight, and leave it again."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Mergeable(nn.Module, ABC):
    """An adapted module that keeps the original of its weight while the update is in it.

    A subclass sets ``_original`` to None when it is made.
    """

    weight: Tensor
    _original: Tensor | None

    @property
    def merged(self) -> bool:
        """Whether the update is part of ``weight`` now."""
        return self._original is not None

    @abstractmethod
    def adapted_weight(self) -> Tensor:
        """Computes the one weight that does what weight and update do together.

        Returns:
            The weight that merging puts in place, in fp32.
        """

    @torch.no_grad()
    def merge(self) -> None:
        """Adds the update to the weight and keeps the original; does nothing if merged."""
        if self._original is None:
            merged = self.adapted_weight()
            self._original = self.weight.detach().clone()
            self.weight.copy_(merged)

    @torch.no_grad()
    def unmerge(self) -> None:
        """Puts the original weight back, bit for bit; does nothing if not merged."""
        if self._original is not None:
            # Subtracting the update would not give it back: in fp32 a fifth of the weights differ.
            self.weight.copy_(self._original)
            self._original = None
