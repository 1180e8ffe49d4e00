"""What a run computes with: seeds, device, precision, threads, and the record of all four.

torch is imported by the functions that need it, so that seeds cost nothing.
"""

import hashlib
import math
import platform
import resource
import sys
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from lowkey.errors import ConfigError

if TYPE_CHECKING:
    import torch


def seed_for(*stream: int | str) -> int:
    """Derives the seed of one stream of random numbers from its name.

    There is no hidden state: dropout in step 7 has the same seed whether or not the run was
    stopped before it.

    Args:
        *stream: What names the stream, such as ``(seed, "dropout", epoch, step)``. The number 1
            and the text "1" are different names.

    Returns:
        A number from 0 to 2**63 - 1.

    Example:
        >>> seed_for(1, "dropout", 0) == seed_for(1, "dropout", 0)
        True
        >>> seed_for(1, "dropout", 0) == seed_for(1, "dropout", 1)
        False
    """
    # repr keeps 1 and "1" apart, and its quotes keep ("a", "b") and ("a, b",) apart.
    digest = hashlib.sha256(repr(stream).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*stream: int | str, device: "torch.device | str" = "cpu") -> "torch.Generator":
    """Makes the random generator of one stream.

    Args:
        *stream: What names the stream; see `seed_for`.
        device: Where the numbers are drawn.

    Returns:
        A new generator at its beginning.
    """
    import torch

    return torch.Generator(device=device).manual_seed(seed_for(*stream))


def resolve_device(name: str = "auto") -> "torch.device":
    """Finds the device that a name stands for.

    Args:
        name: ``auto`` (cuda where there is one, else cpu), ``cpu``, ``cuda``, ``cuda:INDEX`` or
            ``mps``, which nobody has tried yet and auto therefore leaves alone.

    Returns:
        The device.

    Raises:
        ConfigError: If the name is unknown or this machine or this build of torch lacks it.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, colon, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and not (kind == "cuda" and index.isdecimal())):
        raise ConfigError(f"unknown device {name}", fix="use auto, cpu, cuda, cuda:0 or mps")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device mps asked for, but this machine has none", fix="use cpu")
    if kind == "cuda":
        _require_cuda(name, int(index or 0))
    return torch.device(name)


def _require_cuda(name: str, index: int) -> None:
    """Refuses a CUDA device that is not there, with the reason."""
    import torch

    if not torch.backends.cuda.is_built():
        what = f"device {name} asked for, but this PyTorch ({torch.__version__}) is a CPU build"
        raise ConfigError(what, fix="use device cpu, or install a CUDA build of torch")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        what = f"device {name} asked for, but torch finds no CUDA device"
        raise ConfigError(what, fix="use device cpu, or see what nvidia-smi says")
    if index >= count:
        present = " and ".join(f"cuda:{i}" for i in range(count))
        raise ConfigError(f"{name} asked for, this machine has {present}", fix="use one of them")


def resolve_precision(name: str, device: "torch.device | str") -> "torch.dtype":
    """Finds the number format to compute in.

    Args:
        name: ``auto`` (bf16 where the processor computes in it and gains by it, else fp32),
            ``bf16`` or ``fp32``.
        device: Where the run computes.

    Returns:
        ``torch.bfloat16`` or ``torch.float32``.

    Raises:
        ConfigError: If the name is unknown, or bf16 is asked for where it would be emulated.
    """
    import torch

    if name not in ("auto", "bf16", "fp32"):
        raise ConfigError(f"unknown precision {name}", fix="use auto, bf16 or fp32")
    native = _has_native_bf16(torch.device(device))
    if name == "bf16" and not native:
        what = f"precision bf16 asked for, but the {_device_name(torch.device(device))} lacks it"
        raise ConfigError(what, fix="use fp32; emulated bf16 is slower and less exact")
    if name == "auto" and native and torch.device(device).type == "cpu":
        native = _bf16_pays()
    return torch.bfloat16 if native and name != "fp32" else torch.float32


@lru_cache(maxsize=1)
def _bf16_pays() -> bool:
    """Times one matrix product in both precisions: some tens of milliseconds, once a process.

    An instruction for bf16 is no promise: by the same instructions bf16 was clearly faster than
    fp32 on an AMD EPYC, and clearly slower on an Intel Xeon without AMX, where torch has a tuned
    fp32 product and only a general bf16 one. fp32 must be well ahead to be taken: the choice should
    not turn with the noise of the machine.
    """
    import torch

    def seconds(dtype: torch.dtype) -> float:
        x, weight = torch.ones(256, 768, dtype=dtype), torch.ones(768, 768, dtype=dtype)
        best = math.inf
        for _ in range(6):
            start = time.perf_counter()
            torch.nn.functional.linear(x, weight)
            best = min(best, time.perf_counter() - start)
        return best

    with torch.inference_mode():
        return seconds(torch.bfloat16) < 1.25 * seconds(torch.float32)


def _has_native_bf16(device: "torch.device") -> bool:
    """Tells whether the hardware multiplies bf16 itself."""
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "mps":
        return False  # the first chips lack it and torch does not say which one this is
    # ATEN_CPU_CAPABILITY can hold torch back from what the processor has.
    if not torch.backends.cpu.get_cpu_capability().startswith(("AVX512", "AMX", "SVE")):
        return False
    has = torch.cpu.get_capabilities()
    return any(has.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"))


def set_threads(count: int | None) -> int:
    """Fixes how many threads torch computes with; sums differ in the last bit between counts.

    Args:
        count: The number of threads, at least 1; None leaves it as it is.

    Returns:
        The number in force.

    Raises:
        ConfigError: If the count is less than 1.
    """
    import torch

    if count is not None:
        if count < 1:
            raise ConfigError(f"threads must be a whole number of at least 1, got {count}")
        torch.set_num_threads(count)
    return torch.get_num_threads()


def fingerprint(device: "torch.device | str", dtype: "torch.dtype") -> dict[str, str | int]:
    """Records what decides the last bits: equal fingerprints and seeds give equal weights.

    Args:
        device: Where the run computes.
        dtype: What it computes in.

    Returns:
        Facts that can be written as JSON.
    """
    import torch

    device = torch.device(device)
    return {
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "device": device.type,
        "device_name": _device_name(device),
        "dtype": str(dtype).removeprefix("torch."),
        "platform": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def _device_name(device: "torch.device") -> str:
    """Names the hardware for people."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "Apple GPU"
    return str(torch.cpu.get_capabilities().get("cpu_name") or platform.machine())


def peak_memory_mib(device: "torch.device | str" = "cpu") -> float:
    """Measures the most memory that was in use so far.

    Args:
        device: On cuda the memory torch allocated there; else that of this process.

    Returns:
        The peak, in MiB.
    """
    if str(device).startswith("cuda"):
        import torch

        return torch.cuda.max_memory_allocated(device) / 2**20
    with suppress(OSError, ValueError, IndexError):
        # Linux hands ru_maxrss down to a new program from the one that starts it, VmHWM not.
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.split("VmHWM:")[1].split()[0]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
