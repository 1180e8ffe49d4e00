"""The mean of a run's last checkpoints, as one more model."""

from pathlib import Path

import torch
from torch import Tensor

from lowkey.errors import ConfigError, DataError, MissingInputError
from lowkey.files import read_tensors, refuse_full_folder, staged_folder
from lowkey.lora.inject import adapters
from lowkey.pipelines.load import load
from lowkey.run_folder import RunFolder
from lowkey.training.checkpoint import saved_checkpoints, verify
from lowkey.training.parameters import restore_parameters


def average(run: Path, *, last: int, out: Path, base: str | None = None) -> list[int]:
    """Averages the weights of the last checkpoints of a run and writes them as a bundle.

    Args:
        run: The run folder.
        last: How many checkpoints, at least 2.
        out: The bundle to write; must not exist, or be empty.
        base: Where the base model is, if not where it was in training.

    Returns:
        The steps of the checkpoints that were averaged, in order.

    Raises:
        ConfigError: If the run trained LoRA, whose factors cannot be averaged; or if ``out`` holds
            something.
        MissingInputError: If there is no such run, or it has fewer checkpoints.
        DataError: If a checkpoint is damaged, or is of another model.

    References:
        Vaswani et al., "Attention Is All You Need", 2017, section 6.1, averages the last 5 (base)
        or 20 (big) checkpoints.
    """
    refuse_full_folder(out, where="--out")
    folder = RunFolder.open(run)
    steps = saved_checkpoints(folder.checkpoints)
    chosen = sorted(steps)[-last:]
    if len(chosen) < last:
        raise MissingInputError(
            f"{run} keeps {len(chosen)} checkpoints, {last} are to be averaged",
            fix=f"average --last {len(chosen)}, or train with train.save_total_limit {last}"
            if len(chosen) > 1
            else f"train with train.save_total_limit {last} and train.save_steps",
        )
    pipeline = load(run, base=base, device="cpu")
    if adapters(pipeline.model):
        raise ConfigError(
            f"{run} trained LoRA: the mean of its factors is not the mean of its updates",
            fix="train with train.ema_decay 0.999, or use the best step as it is",
        )
    means = _mean([steps[step] for step in chosen])
    own = {name: p for name, p in pipeline.model.named_parameters() if name in means}
    restore_parameters(own, means)
    # The scores in the facts, and what was fitted to them, are of other weights.
    nothing = {"metrics": {}, "samples": [], "calibration": None, "notes": []}
    pipeline.facts = pipeline.facts.model_copy(update=nothing)
    with staged_folder(out) as stage:
        pipeline.save(stage)
    return chosen


def _mean(checkpoints: list[Path]) -> dict[str, Tensor]:
    """Averages the weights of some checkpoints, one at a time in memory."""
    sums: dict[str, Tensor] = {}
    dtypes: dict[str, torch.dtype] = {}
    for path in checkpoints:
        verify(path)
        tensors = read_tensors(path / "model.safetensors")
        if sums and sums.keys() != tensors.keys():
            raise DataError(f"{path} holds other weights than the checkpoints before it")
        for name, tensor in tensors.items():
            dtypes[name] = tensor.dtype
            # In float64 the sum of equal weights divides back to them.
            sums[name] = sums.get(name, torch.zeros(())).double() + tensor.double()
    return {name: (total / len(checkpoints)).to(dtypes[name]) for name, total in sums.items()}
