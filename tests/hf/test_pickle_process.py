"""What surrounds the door: what its process can reach, and what is made of its answers."""

import json
import os
import signal
import sys
import tempfile
import warnings

import pytest
import torch
from pickles import Calls, folder_of, saved

from lowkey.errors import CannotWriteError, DataError, MissingInputError
from lowkey.hf import pickle_door, pickle_process
from lowkey.hf.pickle_process import write_from_pickles

# What a hostile file would try, if one day torch.load ran its code after all.
HOSTILE = """
import json, os, socket, sys
def attempt(name, act):
    try:
        found[name] = bool(act())
    except BaseException:
        found[name] = False
found = {}
attempt("alive", lambda: True)
attempt("program", lambda: os.system("exit 0") == 0)
attempt("process", lambda: os.fork() >= 0)
attempt("socket", lambda: socket.socket())
attempt("write", lambda: open("MARKER", "w"))
attempt("secret", lambda: any("secret" in value for value in os.environ.values()))
attempt("files", lambda: os.listdir("."))
attempt("input", lambda: sys.stdin.read())
raise SystemExit("GLOBAL " + ".".join(name for name in found if found[name]))
"""
WITHOUT_TORCHS_CARE = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); sys.path.append(sys.argv.pop(1));"
    "import torch; careful = torch.load;"
    "torch.load = lambda *a, **k: careful(*a, **{**k, 'weights_only': False, 'mmap': False});"
    "from lowkey.hf import pickle_door; sys.exit(pickle_door.main())"
)


def test_even_if_its_code_runs_a_pickle_reaches_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(pickle_process, "_PROGRAM", WITHOUT_TORCHS_CARE)
    monkeypatch.setenv("HF_TOKEN", "secret")
    code = HOSTILE.replace("MARKER", str(tmp_path / "marker"))
    folder = folder_of(tmp_path / "in", saved({"a": Calls(exec, code, {})}))
    with pytest.raises(DataError, match='asks for "alive", which'):
        write_from_pickles([folder / "pytorch_model.bin"], tmp_path / "out")
    assert not (tmp_path / "marker").exists()


def test_the_attempts_work_where_nothing_hinders_them(tmp_path):
    code = HOSTILE.replace("MARKER", str(tmp_path / "marker"))
    program = (
        f"import os; os.environ['X'] = 'secret'; open('file', 'w').close(); exec({code!r}, {{}})"
    )
    result = pickle_process.subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, input=b"x", capture_output=True
    )
    works = "alive.program.process.socket.write.secret.files"
    assert works in result.stderr.decode()


def test_files_that_are_no_pickles_are_told_at_once(tmp_path):
    for data, says in [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        (b"<!DOCTYPE html>", "is no PyTorch file"),
    ]:
        (tmp_path / "x.bin").write_bytes(data)
        with pytest.raises(DataError, match=says):
            write_from_pickles([tmp_path / "x.bin"], tmp_path / "out")
    with pytest.raises(MissingInputError, match="no such file"):
        write_from_pickles([tmp_path / "y.bin"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_two_files_with_one_tensor_are_refused(tmp_path):
    for name in ("x.bin", "y.bin"):
        (tmp_path / name).write_bytes(saved({"a": torch.ones(1)}))
    with pytest.raises(DataError, match='both hold the tensor "a"'):
        write_from_pickles([tmp_path / "x.bin", tmp_path / "y.bin"], tmp_path / "out")


HOLDS = {"network": True, "memory": True, "writes": True, "calls": True}


def judge(tmp_path, code, *said, errors=()):
    with tempfile.TemporaryFile() as file:
        file.write("\n".join(s if isinstance(s, str) else json.dumps(s) for s in said).encode())
        lines = pickle_process._read(file)
    pickle_process._judge(code, lines, list(errors), tmp_path / "x.bin", 7)


@pytest.mark.parametrize(
    ("code", "said", "says"),
    [
        (None, [HOLDS], "took longer than 7 s"),
        (-signal.SIGXCPU, [HOLDS], "took longer than 7 s"),
        (-signal.SIGSEGV, [HOLDS], r"break down \(exit code -11\)"),
        (1, [HOLDS], r"break down \(exit code 1\)"),
        (3, [HOLDS], "is damaged"),
        (3, [HOLDS, {"reason": ["x"], "about": {}}], "is damaged"),
        (3, [HOLDS, "[" * 5000], "is damaged"),
        (3, [HOLDS, "\x1b[31m{"], "is damaged"),
        (3, [HOLDS, {"reason": "no-table", "about": "\x1b[31m" * 99}], r"u001b.*…, not tensors"),
        (3, ["x" * 10**6, {"reason": "compressed"}], "is compressed"),
    ],
)
def test_whatever_the_process_says_becomes_one_line(tmp_path, code, said, says):
    with pytest.raises(DataError, match=says) as error:
        judge(tmp_path, code, *said)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 400


def test_other_ends_of_the_process(tmp_path):
    judge(tmp_path, 0, HOLDS)
    with pytest.raises(CannotWriteError, match="no room"):
        judge(tmp_path, 3, HOLDS, {"reason": "no-room", "about": ""})
    with pytest.raises(RuntimeError, match=r"ended with 1 before its work: .*no module torch"):
        judge(tmp_path, 1, errors=["ImportError: no module torch"])


def test_a_measure_that_does_not_hold_is_told(tmp_path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        judge(tmp_path, 0, {**HOLDS, "network": False})  # the filter of calls keeps it out
        judge(tmp_path, 0, {**HOLDS, "calls": False})
        assert caught == []
        judge(tmp_path, 0, {**HOLDS, "calls": False, "network": False})
        judge(tmp_path, 0, {**HOLDS, "memory": False})
    first, second = (str(warning.message) for warning in caught)
    assert first.startswith("this system offers no way to keep the process that opens the pickle f")
    assert "memory" in second


def test_the_two_sides_agree():
    assert pickle_process._REFUSED == pickle_door.REFUSED
    source = (pickle_process.Path(pickle_door.__file__)).read_text(encoding="utf-8")
    reasons = {r for r in pickle_process._REASONS if f'"{r}"' not in source}
    assert reasons == set()
    assert os.path.exists(pickle_process._place_of("torch") / "torch" / "__init__.py")
