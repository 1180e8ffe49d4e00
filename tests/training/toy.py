"""A task of a second: a small network with dropout, uneven batches, and a log with an offset."""

import hashlib
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lowkey.files import write_tensors
from lowkey.nn.dropout import Dropout
from lowkey.run_folder import RunFolder
from lowkey.runtime import generator
from lowkey.tracking.jsonl import JsonlTracker
from lowkey.training.checkpoint import newest_checkpoint
from lowkey.training.config import TrainConfig
from lowkey.training.objective import StepLoss
from lowkey.training.progress import Progress
from lowkey.training.trainer import Trainer

EXAMPLES = 44
CLASSES = 3


class ToyModel(nn.Module):
    def __init__(self, dropout: float = 0.3):
        super().__init__()
        self.embedding = nn.Embedding(10, 8)  # frozen
        self.up = nn.Linear(8, 16)
        self.norm = nn.LayerNorm(16)
        self.dropout = Dropout(dropout)
        self.down = nn.Linear(16, CLASSES)
        draw = generator("toy model")
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=draw) * 0.5)
        self.embedding.weight.requires_grad_(False)

    def forward(self, ids: Tensor) -> Tensor:
        hidden = self.norm(torch.tanh(self.up(self.embedding(ids).sum(1))))
        return self.down(self.dropout(hidden))


class ToyObjective:
    metric_for_best = "loss"
    greater_is_better = False

    def __init__(self, *, seed: int = 0, batch: int = 4, dropout: float = 0.3):
        self.model = ToyModel(dropout)
        self.seed = seed
        self.batch = batch
        draw = generator("toy data")
        self.inputs = torch.randint(0, 10, (EXAMPLES, 5), generator=draw)
        self.labels = self.inputs.sum(1) % CLASSES
        self.seen: list[list[int]] = []

    def epoch(self, epoch: int) -> list[list[int]]:
        order = torch.randperm(EXAMPLES, generator=generator(self.seed, "order", epoch)).tolist()
        # 44 examples, batches of 4 and one of 7: their number is no multiple of most accumulations.
        first = [order[:7]]
        return first + [order[i : i + self.batch] for i in range(7, EXAMPLES, self.batch)]

    def loss(self, ids: Sequence[int]) -> StepLoss:
        self.seen.append(list(ids))
        rows = torch.tensor(ids)
        logits = self.model(self.inputs[rows])
        loss = F.cross_entropy(logits, self.labels[rows], reduction="sum")
        correct = float((logits.argmax(1) == self.labels[rows]).sum())
        return StepLoss(loss, len(ids), 5 * len(ids), {"accuracy": correct})

    def evaluate(self) -> dict[str, float]:
        assert not self.model.training
        logits = self.model(self.inputs)
        accuracy = float((logits.argmax(1) == self.labels).float().mean())
        return {"loss": float(F.cross_entropy(logits, self.labels)), "accuracy": accuracy}


def config(**changes: object) -> TrainConfig:
    values: dict[str, object] = {
        "learning_rate": 0.02,
        "max_steps": 14,
        "gradient_accumulation_steps": 3,
        "weight_decay": 0.01,
        "warmup_steps": 3,
        "ema_decay": 0.9,
        "logging_steps": 4,
        "eval_steps": 5,
        "save_steps": 4,
        "save_total_limit": 1,
        "precision": "fp32",
    }
    return TrainConfig.model_validate(values | changes)


def trainer(
    folder: Path, objective: ToyObjective | None = None, *, resume: bool = False, **changes: object
) -> Trainer:
    run = RunFolder.create(folder, resume=resume)
    objective = objective or ToyObjective()

    def save_best(best: Path, metrics: dict[str, float]) -> None:
        write_tensors(best / "model.safetensors", objective.model.state_dict())

    return Trainer(
        objective,
        config(**changes),
        run,
        tracker=JsonlTracker(folder),
        progress=Progress(),
        save_best=save_best,
    )


def records(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def digest(folder: Path) -> dict[str, str]:
    """Hashes all that must be equal in two equal runs."""
    patterns = [
        "metrics.jsonl",
        "checkpoints/*/*.safetensors",
        "checkpoints/*/state.json",
        "best/*",
    ]
    paths = sorted(path for pattern in patterns for path in folder.glob(pattern))
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }


class StopAt(ToyObjective):
    """Receives a signal in the given call of ``loss``, or in the given call of ``evaluate``."""

    def __init__(self, *, loss: int = -1, evaluate: int = -1, number: int = signal.SIGTERM):
        super().__init__()
        self.at_loss, self.at_evaluate, self.number = loss, evaluate, number

    def loss(self, ids):
        self.at_loss -= 1
        if self.at_loss == 0:
            os.kill(os.getpid(), self.number)
        return super().loss(ids)

    def evaluate(self):
        self.at_evaluate -= 1
        if self.at_evaluate == 0:
            os.kill(os.getpid(), self.number)
            raise AssertionError("the evaluation went on")
        return super().evaluate()


def newest(folder):
    return newest_checkpoint(folder / "checkpoints", warn=pytest.fail)
