"""Trained models for the tests of the verbs."""

from pathlib import Path

import pytest
import tiny_tasks
from one_process import _bundles_are_opened_here  # noqa: F401  (a fixture)

from lowkey.cli import main

TAG = ["finetune", "--config", "classify.yaml", "--set", "task=tag"]
TAG += ["--set", "data.train=data/tagged.jsonl", "--set", "data.validation=data/tagged_dev.jsonl"]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs of two steps: runs/classify and runs/tag (LoRA), and runs/translate."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        tiny_tasks.write_tasks(folder)
        assert main(["finetune", "--config", "classify.yaml"]) == 0
        assert main(["train", "--config", "translate.yaml"]) == 0
        for name, seed in (("tagged", 1), ("tagged_dev", 2)):
            rows = tiny_tasks.tagged_rows(32, seed)
            tiny_tasks.write_jsonl(folder / "data" / f"{name}.jsonl", rows)
        assert main([*TAG, "--out", "runs/tag"]) == 0
    return folder


@pytest.fixture
def here(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained)
    return trained
