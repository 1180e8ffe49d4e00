"""From a run to its checkpoint and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from lowkey import runtime
from lowkey.errors import ConfigError
from lowkey.training.changes import config_sha256
from lowkey.training.checkpoint import Checkpoint, Warn, load_checkpoint, newest_checkpoint, retain
from lowkey.training.config import TrainConfig
from lowkey.training.moving_average import MovingAverage
from lowkey.training.optimizer import RATE, build_optimizer, optimizer_tensors, restore_optimizer
from lowkey.training.parameters import restore_parameters, trainable_parameters
from lowkey.training.rates import RateOf, one_rate
from lowkey.training.state import TrainState, parse_state


def fresh_state(config: TrainConfig, device: torch.device) -> TrainState:
    """Makes the state of a run at its beginning.

    Args:
        config: The recipe of the training.
        device: Where the model is.

    Returns:
        Step 0, with what identifies recipe and machine.
    """
    dtype = runtime.resolve_precision(config.precision, device)
    fingerprint = runtime.fingerprint(device, dtype)
    return TrainState(fingerprint=fingerprint, config_sha256=config_sha256(config))


@dataclass(frozen=True)
class Trained:
    """What moves with every step: all that a checkpoint holds of a model.

    Attributes:
        parameters: The trained parameters by name.
        optimizer: Their optimizer.
        average: Their running average.
    """

    parameters: dict[str, nn.Parameter]
    optimizer: torch.optim.Optimizer
    average: MovingAverage

    @classmethod
    def of(cls, model: nn.Module, config: TrainConfig, rate_of: RateOf = one_rate) -> "Trained":
        """Collects them at the beginning of a run.

        Args:
            model: The model; the parameters that need a gradient are trained.
            config: How.
            rate_of: Tells the factor of the learning rate of each parameter.

        Returns:
            The parameters with a new optimizer and a new average.

        Raises:
            ConfigError: If the model has no parameter to train.
        """
        parameters = trainable_parameters(model)
        average = MovingAverage(parameters, config.ema_decay)
        return cls(parameters, build_optimizer(model, config, rate_of), average)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(iter(self.parameters.values())).device

    def step(self, learning_rate: float, step: int) -> None:
        """Makes one update from the gradients that are there.

        Args:
            learning_rate: The rate of this update.
            step: Its number, from 1.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate * group[RATE]
        self.optimizer.step()
        self.average.update(step)


def capture(trained: Trained, state: TrainState, seconds: float) -> Checkpoint:
    """Collects what a run needs to go on.

    Args:
        trained: Parameters, optimizer and average.
        state: Where the run stands.
        seconds: Time the run took so far.

    Returns:
        The content of a checkpoint; its tensors are those of the run, not copies.
    """
    return Checkpoint(
        model=trained.parameters,
        optimizer=optimizer_tensors(trained.optimizer, trained.parameters),
        state=state.model_dump(),
        seconds=seconds,
        average=trained.average.tensors,
    )


def restore_newest(
    folder: Path,
    fresh: TrainState,
    trained: Trained,
    *,
    keep: int,
    warn: Warn,
) -> tuple[TrainState | None, float]:
    """Puts a run back where its newest whole checkpoint was made.

    Args:
        folder: The folder of all checkpoints of the run.
        fresh: The state the run would begin with, to compare recipe and machine.
        trained: Parameters, optimizer and average; they receive the saved values.
        keep: How many checkpoints to keep, at least 1.
        warn: Takes a line of warning, if a checkpoint is damaged or the machine is another one.

    Returns:
        Where the run stands, and the seconds it took so far; None and 0 if there is no checkpoint.

    Raises:
        ConfigError: If the checkpoint was made with another recipe.
        DataError: If the checkpoint is of another model or is not sound, or all are damaged.
    """
    path = newest_checkpoint(folder, warn=warn)
    if path is None:
        return None, 0.0
    saved = load_checkpoint(path)
    state = parse_state(saved.state, path / "state.json")
    if state.config_sha256 != fresh.config_sha256:
        what = f"{path} was made with other settings under train"
        raise ConfigError(what, fix="start anew with another --out")
    change = _change_of_machine(state.fingerprint, fresh.fingerprint)
    if change:
        warn(f"resuming on another machine ({change}): the run goes on, but not bit for bit")
    restore_parameters(trained.parameters, saved.model)
    restore_optimizer(trained.optimizer, trained.parameters, saved.optimizer)
    trained.average.restore(saved.average)
    retain(folder, state.step, keep=keep, warn=warn)  # a killed process may have left this undone
    return state.model_copy(update={"fingerprint": fresh.fingerprint}), saved.seconds


def _change_of_machine(before: Mapping[str, str | int], now: Mapping[str, str | int]) -> str:
    """Lists how two fingerprints differ."""
    return "; ".join(
        f"{name} was {before.get(name)}, is now {now.get(name)}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    )
