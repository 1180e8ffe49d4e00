"""What a process can do to itself so that a hostile file it opens finds nothing to harm.

Each measure says whether it holds: not every system has every one. Only the process that opens
pickles calls them, and none can be taken back. The standard library is all that is needed here.

References:
    Linux manual pages unshare(2), seccomp(2), landlock(7), setrlimit(2); PEP 578 (audit hooks).
"""

import ctypes
import math
import os
import platform
import resource
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_NO_NEW_PRIVILEGES = 38  # prctl(2)

# Calls to the kernel that reading tensors never needs: their numbers on x86-64 and on arm64.
_FORBIDDEN_CALLS = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "io_uring_setup": (425, 425),  # a second way to every other call
    "execve": (59, 221),
    "execveat": (322, 281),
    "fork": (57, None),
    "vfork": (58, None),
    "clone": (56, 220),
    "clone3": (435, 435),
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "pidfd_send_signal": (424, 424),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
}
# Column of the table, name in the kernel's audit, and number of the call seccomp.
_MACHINES = {"x86_64": (0, 0xC000003E, 317), "aarch64": (1, 0xC00000B7, 277)}
_KILL, _REFUSE, _ALLOW = 0x80000000, 0x00050001, 0x7FFF0000
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06

_CREATE_RULESET, _RESTRICT_SELF = 444, 446  # landlock(7); the same on all machines
_READING = 0b1100  # of the rights over files: to read a file, to list a folder

_FORBIDDEN_EVENTS = ("ctypes.", "os.exec", "os.fork", "os.posix_spawn", "os.system", "socket.")
_FORBIDDEN_EVENTS += ("os.kill", "os.remove", "os.rename", "os.rmdir", "pty.", "subprocess.")


def leave_network() -> bool:
    """Moves this process to a network of its own, which has no devices; before it has threads.

    Returns:
        Whether it holds. Containers and some distributions do not permit it.
    """
    user = os.getuid()
    library = _library()
    if library is None or library.unshare(_NEW_USER | _NEW_NETWORK) != 0:
        return False
    with suppress(OSError):  # a process without its own name works too
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    return True


def refuse_calls() -> bool:
    """Lets the kernel refuse sockets, programs, new processes and signals from now on.

    Returns:
        Whether it holds: on Linux on x86-64 and arm64.
    """
    library = _library()
    if library is None or platform.machine() not in _MACHINES or sys.maxsize < 2**32:
        return False
    column, architecture, seccomp = _MACHINES[platform.machine()]
    steps = [(_LOAD, 0, 0, 4), (_IF_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL)]
    # The number of the call; from 2^30 on begins a second set of numbers of x86-64.
    steps += [(_LOAD, 0, 0, 0), (_IF_AT_LEAST, 0, 1, 2**30), (_RETURN, 0, 0, _REFUSE)]
    for numbers in _FORBIDDEN_CALLS.values():
        if (number := numbers[column]) is not None:
            steps += [(_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE)]
    steps.append((_RETURN, 0, 0, _ALLOW))
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(code)))
    set_filter, all_threads = 1, 1
    library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    return library.syscall(seccomp, set_filter, all_threads, program) == 0


def refuse_writes() -> bool:
    """Lets the kernel refuse to open files for writing, to make, to delete and to run them.

    What is open already stays open, and reading is not touched.

    Returns:
        Whether it holds: on Linux from 5.13 on, where Landlock is switched on.
    """
    library = _library()
    if library is None:
        return False
    version = library.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    count = {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)
    rights = ((1 << count) - 1) & ~_READING
    rules = struct.pack("=Q", rights) + (struct.pack("=Q", 0b11) if version >= 4 else b"")
    ruleset = library.syscall(_CREATE_RULESET, rules, ctypes.c_size_t(len(rules)), 0)
    library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    return ruleset >= 0 and library.syscall(_RESTRICT_SELF, ruleset, 0) == 0


def refuse_events() -> None:
    """Lets Python itself refuse to write files, run programs and open sockets from now on.

    It holds on every system, against code in Python, and not against a bug in compiled code.
    """

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(_FORBIDDEN_EVENTS):
            _refuse(event)
        if event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            _refuse(event)

    sys.addaudithook(watch)


def limit_resources(*, memory: int, file_size: int, seconds: int) -> bool:
    """Limits what this process may use from now on.

    Args:
        memory: Bytes of memory beyond those it has.
        file_size: Greatest size of a file it writes, in bytes.
        seconds: Processor seconds beyond those it has used.

    Returns:
        Whether memory is limited: on Linux. The other limits hold everywhere.
    """
    used = math.ceil(time.process_time())
    limit, hard = _at_most(resource.RLIMIT_CPU, used + seconds + 1)
    resource.setrlimit(resource.RLIMIT_CPU, (limit - 1, hard))  # its signal tells why
    resource.setrlimit(resource.RLIMIT_FSIZE, _at_most(resource.RLIMIT_FSIZE, file_size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return False
    space = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, _at_most(resource.RLIMIT_AS, space))
    return True


def _at_most(kind: int, limit: int) -> tuple[int, int]:
    """A limit for both bounds that is no higher than the one that is set."""
    hard = resource.getrlimit(kind)[1]
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    return limit, limit


def _library() -> ctypes.CDLL | None:
    return ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _refuse(event: str) -> NoReturn:
    raise PermissionError(f"{event} is refused here")
