from pathlib import Path

import pytest
import tiny_tasks
from one_process import _bundles_are_opened_here  # noqa: F401  (a fixture)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The present folder, with the data, the base and the recipe of both tiny tasks."""
    tiny_tasks.write_tasks(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path
