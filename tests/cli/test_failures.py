import warnings
from pathlib import Path

import pytest

from lowkey.cli import main, starting


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    def fail(_: str) -> str:
        raise error

    monkeypatch.setattr(starting, "_version_of", fail)
    return main(["env"])


def test_a_bug_is_one_line_and_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert failing(monkeypatch, ValueError("one\ntwo\x1b[31m")) == 70
    (file,) = tmp_path.iterdir()
    first, hint = capsys.readouterr().err.splitlines()
    assert first.startswith("error: ValueError: one")
    assert first.endswith("this is a bug in lowkey; please report it")
    assert "\x1b" not in first
    assert hint.endswith(str(file))
    assert "Traceback" in file.read_text(encoding="utf-8")


def test_ctrl_c_and_a_closed_pipe_are_no_bugs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "interrupted\n"
    assert failing(monkeypatch, BrokenPipeError()) == 141
    assert capsys.readouterr().err == ""


def test_a_warning_of_a_library_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def warn(_: str) -> str:
        warnings.warn("odd \x1b[31m thing\nin many words", stacklevel=1)
        return ""

    monkeypatch.setattr(starting, "_version_of", warn)
    with warnings.catch_warnings():
        warnings.simplefilter("once")
        assert main(["env"]) == 0
    assert capsys.readouterr().err == "warning: odd \\x1b[31m thing\n"
