from pathlib import Path

import pytest
import tiny_tasks
from one_process import _bundles_are_opened_here  # noqa: F401  (a fixture)


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random BERT."""
    folder = tmp_path_factory.mktemp("estimators") / "bert"
    tiny_tasks.write_bert(folder)
    return folder
