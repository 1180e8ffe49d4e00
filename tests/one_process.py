"""Trainings of tests open their bundles again in this process: a new one takes seconds each time.

What the new process does is tested by itself in tests/experiments/test_verification.py.
"""

import pytest


@pytest.fixture(autouse=True)
def _bundles_are_opened_here(monkeypatch: pytest.MonkeyPatch) -> None:
    from lowkey.experiments import verification
    from lowkey.pipelines.probe import difference

    monkeypatch.setattr(
        verification, "_in_new_process", lambda folder, base: difference(folder, base=base)
    )
