"""What of a recipe may change when a run is resumed. Free of torch."""

import hashlib
import json
from pathlib import Path
from typing import Any

from lowkey.config import Config
from lowkey.errors import ConfigError, shown
from lowkey.training.config import TrainConfig

# What may differ between a run and its continuation without changing what was computed so far.
MAY_CHANGE = (
    "max_steps",
    "num_train_epochs",
    "time_budget",
    "logging_steps",
    "eval_steps",
    "save_steps",
    "save_total_limit",
)


def config_sha256(config: TrainConfig) -> str:
    """Hashes what must not change between a run and its continuation.

    Args:
        config: The recipe of the training.

    Returns:
        64 hexadecimal digits.
    """
    values = config.model_dump(mode="json", exclude=set(MAY_CHANGE))
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def refuse_changes(
    before: Config,
    now: Config,
    *,
    run: Path,
    free: tuple[str, ...] = ("track", "data.memory_map"),
) -> None:
    """Refuses to resume a run with another recipe, naming the first key that differs.

    Args:
        before: The recipe the run was started with, its training under ``train``.
        now: The recipe it is to go on with.
        run: The run folder, for the message.
        free: Keys outside ``train`` that may change, with all below them.

    Raises:
        ConfigError: If a key differs that must not.
    """
    may_change = [*(f"train.{name}" for name in MAY_CHANGE), *free]
    old, new = _flat(before.model_dump(mode="json")), _flat(now.model_dump(mode="json"))
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) == new.get(key) or any(f"{key}.".startswith(f"{k}.") for k in may_change):
            continue
        what = f"cannot resume {run}: {key} was {shown(old.get(key))}, is now {shown(new.get(key))}"
        fix = f"start anew with another --out (may change on resume: {', '.join(may_change)})"
        raise ConfigError(what, fix=fix)


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Writes nested settings as ``a.b: value``."""
    if not isinstance(value, dict) or not value:
        return {path: value}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= _flat(item, f"{path}.{key}" if path else str(key))
    return flat
