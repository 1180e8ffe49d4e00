"""Each measure by itself, in a process of its own: what worked before it is refused after it."""

import json
import subprocess
import sys

import pytest

linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's measures are Linux's")

ATTEMPTS = """
import json, os, resource, socket, subprocess, sys
from lowkey.hf import confinement

def listen():
    with socket.socket() as ours:
        ours.bind(("127.0.0.1", 0)), ours.listen(), socket.create_connection(ours.getsockname())

def fork():
    if os.fork() == 0:
        os._exit(0)

def write():
    with open("new.txt", "w") as file:
        file.write("x")

def compute():
    while True:
        pass

attempts = {
    "listen": listen,
    "fork": fork,
    "write": write,
    "read": lambda: open(os.__file__).read(1),
    "run": lambda: subprocess.run([sys.executable, "-c", ""], check=True),
    "system": lambda: 1 / (os.system("exit 0") == 0),
    "signal": lambda: os.kill(os.getppid(), 0),
    "delete": lambda: os.unlink("old.txt"),
    "allocate": lambda: bytearray(2**28),
}

def works(name):
    try:
        attempts[name]()
    except (OSError, ZeroDivisionError, MemoryError):
        return False
    return True
"""
KERNEL = ["listen", "fork", "write", "read", "run", "system", "signal", "delete"]


def after(tmp_path, measure, names):
    """Tells whether the measure holds, and which attempts work after it."""
    (tmp_path / "old.txt").touch()
    program = f"{ATTEMPTS}\nheld = {measure}\nprint(json.dumps([held, [n for n in {names} if "
    program += "works(n)]]))"
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    return json.loads(result.stdout)


def test_without_a_measure_all_works(tmp_path):
    assert after(tmp_path, "None", [*KERNEL, "allocate"]) == [None, [*KERNEL, "allocate"]]


@linux
def test_in_a_network_of_its_own_a_process_does_not_even_reach_itself(tmp_path):
    held, works = after(tmp_path, "confinement.leave_network()", ["listen", "read"])
    if not held:
        pytest.skip("this container does not permit it")
    assert works == ["read"]


@linux
def test_the_kernel_refuses_sockets_programs_processes_and_signals(tmp_path):
    held, works = after(tmp_path, "confinement.refuse_calls()", KERNEL)
    assert held
    assert works == ["write", "read", "delete"]


@linux
def test_the_kernel_refuses_writes(tmp_path):
    held, works = after(tmp_path, "confinement.refuse_writes()", KERNEL)
    if not held:
        pytest.skip("this kernel has no Landlock")
    assert {"read", "signal"} <= set(works)
    assert not {"write", "run", "delete"} & set(works)
    assert not (tmp_path / "new.txt").exists()


def test_python_refuses_the_same_everywhere(tmp_path):
    assert after(tmp_path, "confinement.refuse_events()", KERNEL) == [None, ["read"]]


def test_memory_file_size_and_time_are_limited(tmp_path):
    limits = "confinement.limit_resources(memory=2**26, file_size=0, seconds=1)"
    held, works = after(tmp_path, limits, ["allocate", "write", "read"])
    assert works == (["read"] if held else ["allocate", "read"])
    assert held == (sys.platform == "linux")
    command = [sys.executable, "-c", f"{ATTEMPTS}\n{limits}\ncompute()"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert result.returncode < 0  # by the signal of the limit
