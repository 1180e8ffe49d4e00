"""Recipes of the tiny tasks, run as functions, and what they leave behind."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lowkey.config import load_recipe
from lowkey.experiments.config import FinetuneRecipe, TranslationRecipe


def finetuning(*settings: str) -> FinetuneRecipe:
    return load_recipe(FinetuneRecipe, Path("classify.yaml"), ["train.threads=1", *settings])


def translating(*settings: str) -> TranslationRecipe:
    return load_recipe(TranslationRecipe, Path("translate.yaml"), ["train.threads=1", *settings])


def record_batches(patch: pytest.MonkeyPatch, module: Any) -> list[list[int]]:
    """Lists the batches that an experiment trains on, in their order."""
    original, seen = module.Learner.loss, []

    def loss(learner: Any, ids: Sequence[int]) -> Any:
        seen.append(list(ids))
        return original(learner, ids)

    patch.setattr(module.Learner, "loss", loss)
    return seen


def record_learners(patch: pytest.MonkeyPatch, module: Any) -> list[Any]:
    """Keeps the learners that an experiment makes."""
    original, kept = module.Learner.__post_init__, []

    def post_init(learner: Any) -> None:
        original(learner)
        kept.append(learner)

    patch.setattr(module.Learner, "__post_init__", post_init)
    return kept


def stop_at(patch: pytest.MonkeyPatch, module: Any, call: int) -> None:
    """Sends the process SIGTERM while an experiment computes its n-th loss."""
    original, calls = module.Learner.loss, []

    def loss(learner: Any, ids: Sequence[int]) -> Any:
        calls.append(ids)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(learner, ids)

    patch.setattr(module.Learner, "loss", loss)


def exact_files(run: Path) -> dict[str, bytes]:
    """What two runs of one recipe must have in common, byte for byte."""
    weights = [*(run / "best").rglob("*.safetensors"), *(run / "best").rglob("tokenizer.json")]
    last = max((run / "checkpoints").iterdir()) / "model.safetensors"
    paths = [run / "metrics.jsonl", run / "config.yaml", last, *weights]
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in paths}
