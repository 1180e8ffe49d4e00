"""Two trained models for the tests of the verbs."""

from pathlib import Path

import pytest
import tiny_tasks

from lowkey.cli import main


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs of two steps: runs/classify (LoRA) and runs/translate."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        tiny_tasks.write_tasks(folder)
        assert main(["finetune", "--config", "classify.yaml"]) == 0
        assert main(["train", "--config", "translate.yaml"]) == 0
    return folder


@pytest.fixture
def here(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained)
    return trained
