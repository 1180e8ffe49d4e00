import re
from pathlib import Path

import pytest

import lowkey
from lowkey.cli import main


def test_init_writes_a_recipe_and_keeps_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "pronounce"]) == 0
    assert "lowkey train --config pronounce.yaml" in capsys.readouterr().out
    Path("pronounce.yaml").write_text("mine", encoding="utf-8")
    assert main(["init", "pronounce"]) == 2
    assert "pronounce.yaml exists already and is kept" in capsys.readouterr().err
    assert Path("pronounce.yaml").read_text(encoding="utf-8") == "mine"
    assert main(["init", "classify", "--out", "other.yaml"]) == 0


def test_env_names_versions_and_the_device(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env"]) == 0
    facts = dict(
        re.split(r"  +", line, maxsplit=1) for line in capsys.readouterr().out.splitlines()
    )
    assert facts["lowkey"] == lowkey.__version__
    assert {"torch", "device", "native bf16", "threads", "free disk"} <= facts.keys()
