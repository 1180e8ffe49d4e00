"""What the tests of the training loop share."""

import os

import pytest
from training.toy import ToyObjective, trainer


@pytest.fixture
def _no_fsync(monkeypatch):
    """No power is lost in these tests, and waiting for the disk is most of what a toy run does."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    objective = ToyObjective()
    result = trainer(folder / "run", objective).fit()
    return folder / "run", result, objective.seen
