"""A running average of the weights: what is evaluated and kept, while the weights train on.

Stochastic steps circle around a good place; their average is nearer to it than any of them.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lowkey.training.parameters import restore_parameters


class MovingAverage:
    r"""The exponential moving average of parameters.

    After step :math:`t`

    .. math:: \bar\theta \leftarrow d_t \bar\theta + (1 - d_t) \theta_t,
              \qquad d_t = \min\left(d, \frac{1 + t}{10 + t}\right)

    so that the first steps, far from anything good, are soon forgotten.

    Args:
        parameters: The trained parameters by name; the average starts as a copy of them.
        decay: The decay :math:`d`, in [0, 1); 0 averages nothing, and nothing is copied.

    References:
        Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992.
        Kingma and Ba, "Adam", 2015, section 7.2.

    Example:
        >>> weight = nn.Parameter(torch.zeros(1))
        >>> average = MovingAverage({"weight": weight}, decay=0.5)
        >>> _ = weight.data.fill_(1.0)
        >>> average.update(step=100)
        >>> float(average.tensors["weight"]), float(weight.detach())
        (0.5, 1.0)
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float):
        self._parameters = parameters
        self._decay = decay
        self.tensors: dict[str, Tensor] = {}
        if decay:
            self.tensors = {name: p.detach().clone() for name, p in parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes the weights of one more step in.

        Args:
            step: Number of updates made, from 1.
        """
        if self.tensors:
            weight = 1 - min(self._decay, (1 + step) / (10 + step))
            averages = list(self.tensors.values())
            torch._foreach_lerp_(averages, [p.detach() for p in self._parameters.values()], weight)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Gives the model the average for a while; then its own weights again, bit for bit.

        Yields:
            Nothing; without an average the model stays as it is.
        """
        if not self.tensors:
            yield
            return
        own = {name: p.detach().clone() for name, p in self._parameters.items()}
        restore_parameters(self._parameters, self.tensors)
        try:
            yield
        finally:
            restore_parameters(self._parameters, own)

    def restore(self, saved: Mapping[str, Tensor]) -> None:
        """Goes on from an average that was saved.

        Args:
            saved: The average by name.

        Raises:
            DataError: If names, shapes or dtypes are not those of the parameters.
        """
        if self.tensors:
            averages = {name: nn.Parameter(t) for name, t in self.tensors.items()}
            restore_parameters(averages, saved)
            self.tensors = {name: p.detach() for name, p in averages.items()}
