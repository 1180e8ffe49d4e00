"""AdamW (Loshchilov and Hutter, 2019) with its state under the names of the parameters."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lowkey.errors import DataError
from lowkey.training.config import TrainConfig
from lowkey.training.parameters import trainable_parameters
from lowkey.training.rates import RateOf, one_rate

# Kinds of device for which torch has the fused update: one pass over the memory instead of about
# ten.
_FUSED = ("cpu", "cuda", "mps")


RATE = "rate"
"""The key of a parameter group that holds the factor of its learning rate."""


def build_optimizer(
    model: nn.Module, config: TrainConfig, rate_of: RateOf = one_rate
) -> torch.optim.AdamW:
    """Makes the optimizer of a run.

    Weight decay pulls on matrices (and embeddings) only: biases and the gains of norms, which
    have one dimension, are left alone.

    Args:
        model: The model; what needs no gradient is left out.
        config: Rate, betas, epsilon and decay.
        rate_of: Tells the factor of the learning rate of each parameter.

    Returns:
        The optimizer, its learning rates at the peak of the schedule.

    Raises:
        ConfigError: If the model has no parameter to train.
    """
    parameters = trainable_parameters(model)
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        groups.setdefault((parameter.ndim > 1, rate_of(name).factor), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": members,
                "weight_decay": config.weight_decay if is_matrix else 0.0,
                "lr": config.learning_rate * rate,
                RATE: rate,
            }
            for (is_matrix, rate), members in groups.items()
        ],
        lr=config.learning_rate,
        betas=(config.adam_beta1, config.adam_beta2),
        eps=config.adam_epsilon,
        fused=all(p.device.type in _FUSED for p in parameters.values()),
    )


def optimizer_tensors(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]
) -> dict[str, Tensor]:
    """Names the optimizer's state: ``PARAMETER.exp_avg``, ``.exp_avg_sq`` and ``.step``.

    Args:
        optimizer: The optimizer of ``build_optimizer``.
        parameters: Its parameters by name.

    Returns:
        The tensors themselves. A parameter that never had a gradient has none.
    """
    return {
        f"{name}.{key}": tensor
        for name, parameter in parameters.items()
        for key, tensor in optimizer.state.get(parameter, {}).items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer,
    parameters: Mapping[str, nn.Parameter],
    tensors: Mapping[str, Tensor],
) -> None:
    """Gives the optimizer the state that ``optimizer_tensors`` named.

    Args:
        optimizer: A new optimizer of ``build_optimizer``.
        parameters: Its parameters by name.
        tensors: The state by name.

    Raises:
        DataError: If a name belongs to no parameter, or something is missing or does not fit.
    """
    rest = dict(tensors)
    for name, parameter in parameters.items():
        shapes = {
            "step": (),
            "exp_avg": tuple(parameter.shape),
            "exp_avg_sq": tuple(parameter.shape),
        }
        state = {key: rest.pop(f"{name}.{key}") for key in shapes if f"{name}.{key}" in rest}
        if state and {key: tuple(tensor.shape) for key, tensor in state.items()} != shapes:
            raise DataError(f"the saved optimizer state of {name} does not fit the model")
        if state:
            device = parameter.device
            optimizer.state[parameter] = {key: tensor.to(device) for key, tensor in state.items()}
    if rest:
        raise DataError(f"the saved optimizer state {min(rest)} belongs to no parameter")
