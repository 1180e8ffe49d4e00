"""What a figure was measured on: the processor, the versions, the commit."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

_LIBRARIES = ("lowkey", "torch", "transformers", "peft", "accelerate", "numpy")
_FEATURES = ("avx2", "avx512_f", "avx512_bf16", "avx512_vnni", "amx_tile", "amx_bf16", "amx_fp16")


def cores() -> int:
    """Counts the cores this process may use.

    Returns:
        Their number.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def provenance() -> dict[str, Any]:
    """Says where and of what a measurement is.

    Returns:
        Date, commit, machine and versions; no path and no host name.
    """
    capabilities = torch.cpu.get_capabilities()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": {
            "processor": _processor(),
            "cores": cores(),
            "features": [name for name in _FEATURES if capabilities.get(name)],
            "platform": f"{platform.system()} {platform.machine()}",
            # Other programs slow both sides, but not always equally: a reader should see them.
            "load_at_start": round(os.getloadavg()[0], 1),
        },
        "versions": {"python": platform.python_version(), **_versions()},
    }


def _processor() -> str:
    """Finds the name the processor gives itself, with family and model where Linux tells."""
    facts: dict[str, str] = {}
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().split("\n\n")[0].splitlines():
            key, _, value = line.partition(":")
            facts[key.strip()] = value.strip()
    name = facts.get("model name") or platform.processor() or platform.machine()
    if "cpu family" in facts:
        name += f" (family {facts['cpu family']}, model {facts['model']})"
    return name


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _commit() -> str | None:
    """Names the commit, marked if the sources differ from it; None outside a repository."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        command = ["git", *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        changed = git("status", "--porcelain", "--", "../src", ".", ":!results")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit} with changes" if changed else commit
