import json
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lowkey import runtime
from lowkey.errors import ConfigError
from lowkey.runtime import (
    fingerprint,
    generator,
    peak_memory_mib,
    resolve_device,
    resolve_precision,
    seed_for,
    set_threads,
)

STREAMS = st.lists(st.integers() | st.text(), max_size=5).map(tuple)


@given(STREAMS, STREAMS)
def test_streams_of_different_names_have_different_seeds(one: tuple, other: tuple) -> None:
    assert (seed_for(*one) == seed_for(*other)) == (one == other)
    assert 0 <= seed_for(*one) < 2**63


def test_a_seed_is_the_same_in_every_process() -> None:
    program = "from lowkey.runtime import seed_for; print(seed_for(1, 'dropout', 2))"
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(result.stdout) == seed_for(1, "dropout", 2)


def test_a_number_and_its_text_name_different_streams() -> None:
    assert len({seed_for(1, "a"), seed_for("1", "a"), seed_for("1a"), seed_for("a", 1)}) == 4


def test_a_generator_begins_anew_and_leaves_the_global_one_alone() -> None:
    before = torch.get_rng_state()
    first = torch.rand(8, generator=generator(0, "x"))
    assert torch.equal(first, torch.rand(8, generator=generator(0, "x")))
    assert not torch.equal(first, torch.rand(8, generator=generator(1, "x")))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Pretends that torch was built with CUDA and finds so many devices."""

    def pretend(count: int) -> None:
        monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return pretend


def test_a_cpu_build_says_so_when_cuda_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    monkeypatch.setattr(torch, "__version__", "2.13.0+cpu")
    with pytest.raises(ConfigError) as caught:
        resolve_device("cuda")
    assert str(caught.value) == (
        "device cuda asked for, but this PyTorch (2.13.0+cpu) is a CPU build"
        " — use device cpu, or install a CUDA build of torch"
    )


def test_a_device_that_is_not_there_is_told_with_those_that_are(
    cuda: Callable[[int], None],
) -> None:
    cuda(2)
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    assert resolve_device("auto") == torch.device("cuda")
    with pytest.raises(ConfigError, match="cuda:3 asked for, this machine has cuda:0 and cuda:1"):
        resolve_device("cuda:3")
    cuda(0)
    with pytest.raises(ConfigError, match="finds no CUDA device"):
        resolve_device("cuda")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:1", "", "cuda:0:1"])
def test_an_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="unknown device"):
        resolve_device(name)


def test_the_cpu_is_always_there() -> None:
    assert resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("capability", "features", "native"),
    [
        ("AVX512", {"avx512_bf16": True}, True),
        ("AVX512", {"avx512_bf16": False, "avx512_f": True}, False),
        ("AVX2", {"avx512_bf16": True}, False),
        ("DEFAULT", {}, False),
        ("AVX512", {"amx_bf16": True}, True),
        ("SVE256", {"sve_bf16": True}, True),
    ],
)
def test_precision_follows_the_processor(
    monkeypatch: pytest.MonkeyPatch, capability: str, features: dict, native: bool
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features | {"cpu_name": "Old"})
    monkeypatch.setattr(runtime, "_bf16_pays", lambda: True)
    assert resolve_precision("auto", "cpu") == (torch.bfloat16 if native else torch.float32)
    assert resolve_precision("fp32", "cpu") == torch.float32
    if native:
        assert resolve_precision("bf16", "cpu") == torch.bfloat16
    else:
        with pytest.raises(ConfigError, match="bf16 asked for, but the Old lacks it — use fp32"):
            resolve_precision("bf16", "cpu")


@pytest.mark.parametrize("slowdown", [0.5, 3.0])
def test_auto_takes_the_precision_that_is_faster_here(
    monkeypatch: pytest.MonkeyPatch, slowdown: float
) -> None:
    """A processor may have the instruction and no fast product: the products decide."""
    clock = [0.0]

    def product(x: torch.Tensor, weight: torch.Tensor) -> None:
        clock[0] += slowdown if x.dtype == torch.bfloat16 else 1.0

    monkeypatch.setattr(runtime, "_has_native_bf16", lambda device: True)
    monkeypatch.setattr(torch.nn.functional, "linear", product)
    monkeypatch.setattr(runtime.time, "perf_counter", lambda: clock[0])
    runtime._bf16_pays.cache_clear()
    try:
        chosen = resolve_precision("auto", "cpu")
    finally:
        runtime._bf16_pays.cache_clear()
    assert chosen == (torch.bfloat16 if slowdown < 1 else torch.float32)
    assert resolve_precision("bf16", "cpu") == torch.bfloat16


def test_emulated_bf16_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Old GPU")
    assert resolve_precision("auto", "cuda") == torch.float32
    with pytest.raises(ConfigError, match="the Old GPU lacks it"):
        resolve_precision("bf16", "cuda")


def test_detection_agrees_with_the_flags_of_the_kernel() -> None:
    try:
        with open("/proc/cpuinfo", encoding="ascii") as file:
            flags = set(file.read().split())
    except OSError:
        pytest.skip("no /proc/cpuinfo here")
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        pytest.skip("not an x86 processor with AVX in use")
    native = bool(flags & {"avx512_bf16", "amx_bf16"})
    assert runtime._has_native_bf16(torch.device("cpu")) == native


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown precision fp16"):
        resolve_precision("fp16", "cpu")


def test_threads_are_set_or_left() -> None:
    assert set_threads(None) == torch.get_num_threads() == 1
    assert set_threads(2) == torch.get_num_threads() == 2
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        set_threads(0)


def test_a_fingerprint_changes_with_what_decides_the_last_bits() -> None:
    one = fingerprint("cpu", torch.float32)
    assert json.loads(json.dumps(one)) == one
    assert one == fingerprint(torch.device("cpu"), torch.float32)
    assert one != fingerprint("cpu", torch.bfloat16)
    assert one["torch"] == torch.__version__
    torch.set_num_threads(2)
    assert fingerprint("cpu", torch.float32)["threads"] == 2


def test_peak_memory_grows_with_what_is_used() -> None:
    program = (
        "from lowkey.runtime import peak_memory_mib as peak;"
        "a = peak(); b = bytearray(b'x') * 200_000_000; print(a, peak())"
    )
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    before, after = map(float, result.stdout.split())
    assert 1 < before < 200
    assert 150 < after - before < 250
    assert peak_memory_mib() > 1
