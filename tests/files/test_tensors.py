import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowkey.errors import DataError, LowkeyError, MissingInputError
from lowkey.files import TensorInfo, read_tensors, tensor_infos, write_tensors

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32,
          torch.int16, torch.int8, torch.uint8, torch.bool]  # fmt: skip


def tensors() -> dict[str, torch.Tensor]:
    named = {str(dtype): torch.arange(6).reshape(2, 3).to(dtype) for dtype in DTYPES}
    return named | {"empty": torch.empty(0, 4), "scalar": torch.tensor(3.0)}


def file_of(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype: object = "U8", shape: object = (1,), offsets: object = (0, 1)) -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_files_of_the_library_are_read_and_ours_by_the_library(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors.torch.save(tensors(), {"format": "pt"}))
    theirs = read_tensors(path)
    write_tensors(path, theirs, {"format": "pt", "base": "é"})
    ours = safetensors.torch.load_file(path)
    for name, tensor in tensors().items():
        for found in (theirs[name], ours[name]):
            assert found.dtype == tensor.dtype
            assert torch.equal(found, tensor)
    with safetensors.safe_open(path, "pt") as opened:
        assert opened.metadata() == {"format": "pt", "base": "é"}


def test_the_header_alone_tells_dtypes_and_shapes(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_tensors(path, tensors())
    infos = tensor_infos(path)
    assert infos["torch.bfloat16"] == TensorInfo("bfloat16", (2, 3))
    assert infos["scalar"].shape == ()
    assert infos.keys() == tensors().keys()


def test_only_the_named_tensors_are_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_tensors(path, tensors())
    assert read_tensors(path, names=["scalar"]).keys() == {"scalar"}
    assert read_tensors(path, names=[]) == {}
    with pytest.raises(DataError, match='no tensor "absent"'):
        read_tensors(path, names=["absent"])


def test_what_is_read_does_not_change_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_tensors(path, {"a": torch.ones(1000)})
    read = read_tensors(path)["a"]
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 500)
    assert torch.equal(read, torch.ones(1000))


def test_the_same_tensors_give_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    program = (
        "import sys, torch; from pathlib import Path; from lowkey.files import write_tensors;"
        "write_tensors(Path(sys.argv[1]), {'b': torch.ones(3), 'a': torch.zeros(2)},"
        "              {key: key for key in sys.argv[2]})"
    )
    for seed, keys in (("1", "hgfedcba"), ("2", "bacdefgh")):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", program, str(tmp_path / seed), keys]
        subprocess.run(command, env=environment, check=True)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    assert read_tensors(tmp_path / "1").keys() == {"a", "b"}


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n"
NEGATIVE = b'{"a": {"dtype": "U8", "shape": [-1], "data_offsets": [0, -1]}}'


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", r"empty \(0 bytes\)"),
        (b"\0" * 7, "cut off"),
        (POINTER, r"a Git LFS pointer \(126 bytes\), not weights — run 'git lfs pull' there"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (b"PK\x03\x04" + b"\0" * 40 + b"archive/data.pkl", "a zip archive"),
        (b"\x80\x02}q\x00." + b"\xff" * 40, "a pickle"),
        (b"\xff" * 8 + b"{}", "no safetensors file, or is cut off"),
        (file_of(b"{}")[:9], "cut off"),
        (file_of(b"[]"), "is not a safetensors file"),
        (file_of(b"\xff\xfe"), "is not a safetensors file"),
        (file_of(b"{"), "not JSON"),
        (file_of(b'{"a": 1, "a": 2}'), "given twice"),
        (file_of(b'{"a":' * 70 + b"1" + b"}" * 70), "levels"),
        (file_of({"__metadata__": {"a": 1}}), "__metadata__"),
        (file_of({"__metadata__": []}), "__metadata__"),
        (file_of({"a": entry()}), "has 68 bytes, its header describes 69"),
        (file_of({"a": entry()}, b"12"), "its header describes"),
        (file_of({"a": entry(offsets=(1, 2))}, b"12"), "hole or overlaps"),
        (file_of({"a": entry(), "b": entry()}, b"1"), "hole or overlaps"),
        (file_of({"a": entry("F8_E4M3")}, b"1"), "unknown dtype"),
        (file_of({"a": entry(["U8"])}, b"1"), "unknown dtype"),
        (file_of({"a": entry(shape=(2,))}, b"1"), "does not fill"),
        (file_of({"a": entry(shape=(2**62, 2**62))}, b"1"), "impossible shape"),
        (file_of({"a": entry(shape=(2**40,) * 9, offsets=(0, 1))}, b"1"), "does not fill"),
        (file_of({"a": entry(shape=(True,))}, b"1"), "impossible shape"),
        (file_of({"a": entry(shape=(1,) * 70)}, b"1"), "impossible shape"),
        (file_of({"a": entry(offsets=(0,))}, b"1"), "impossible offsets"),
        (file_of({"a": entry(offsets=(0, 1.0))}, b"1"), "impossible offsets"),
        (file_of(NEGATIVE), "impossible shape"),
        (file_of({"a": entry() | {"x": 1}}, b"1"), "nothing else"),
        (file_of({"a": 1}), "nothing else"),
    ],
)
def test_a_wrong_file_is_refused_before_a_tensor_is_made(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    for read in (tensor_infos, read_tensors):
        with pytest.raises(DataError, match=reason):
            read(path)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite_are_refused(tmp_path: Path, number: float) -> None:
    path = tmp_path / "model.safetensors"
    write_tensors(path, {"good": torch.ones(3), "bad": torch.tensor([1.0, number])})
    assert torch.equal(read_tensors(path, names=["good"])["good"], torch.ones(3))
    with pytest.raises(DataError, match='tensor "bad" holds NaN or infinite'):
        read_tensors(path)


def test_a_bool_is_true_or_false_whatever_its_byte(tmp_path: Path) -> None:
    path = tmp_path / "mask.safetensors"
    path.write_bytes(file_of({"mask": entry("BOOL", (3,), (0, 3))}, b"\x00\x01\x02"))
    mask = read_tensors(path)["mask"]
    assert mask.view(torch.uint8).tolist() == [0, 1, 1]


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(MissingInputError):
            tensor_infos(path)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_damage_gives_tensors_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject
) -> None:
    good = safetensors.torch.save({"a": torch.ones(2, 3), "b": torch.zeros(4)}, {"k": "v"})
    data = bytearray(good)
    for _ in range(draw.draw(st.integers(1, 3))):
        place = draw.draw(st.integers(0, len(data)))
        length = draw.draw(st.integers(0, 4))
        data[place : place + length] = draw.draw(st.binary(max_size=4))
    path = tmp_path_factory.mktemp("damage") / "model.safetensors"
    path.write_bytes(data)
    message, read = "", {}
    try:
        read = read_tensors(path)
    except LowkeyError as error:
        message = str(error)
    assert message.isprintable()
    assert sum(tensor.nbytes for tensor in read.values()) <= len(data)
