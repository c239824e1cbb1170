"""Calls of the Linux kernel that Python's library lacks: namespaces, mounts, capabilities, seccomp and Landlock.

Each raises OSError where the kernel refuses. ``ctypes`` is imported inside, so that a process that needs none of
them has no foreign functions.
"""

import errno
import os
import platform
import struct
from functools import cache

NAMESPACES = {"mounts": 0x00020000, "pids": 0x20000000, "network": 0x40000000, "ipc": 0x08000000, "user": 0x10000000}
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
DETACH = 2
_SET_DEATH_SIGNAL, _SET_DUMPABLE, _SET_SECCOMP, _SUBREAPER, _NO_NEW_PRIVILEGES = 1, 4, 22, 36, 38
_CAPABILITIES_3 = 0x20080522
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}


@cache
def _library() -> object:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def forget() -> None:
    """Drop the functions of the C library, lest a program find them."""
    _library.cache_clear()


def _call(name: str, *arguments: object) -> int:
    """Call a function of the C library.

    Raises:
        OSError: it fails, or is missing here.
    """
    import ctypes

    library = _library()
    if not hasattr(library, name):
        raise OSError(errno.ENOSYS, name)
    numbers = (ctypes.c_long(value) if isinstance(value, int) else value for value in arguments)
    result = getattr(library, name)(*numbers)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    """Leave namespaces for new ones."""
    _call("unshare", flags)


def enter(descriptor: int, flag: int) -> None:
    """Enter a namespace."""
    _call("setns", descriptor, flag)


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount a file system."""
    _call("mount", os.fsencode(source), os.fsencode(target), kind.encode(), flags, options.encode())


def unmount(target: str) -> None:
    """Detach a file system."""
    _call("umount2", os.fsencode(target), DETACH)


def pivot(root: str) -> None:
    """Make a mount the root, and leave the old one."""
    os.chdir(root)
    _call("syscall", _PIVOT_ROOT[platform.machine()], b".", b".")
    unmount(".")
    os.chdir("/")


def die_with_parent() -> None:
    """Let the kernel kill this process when the thread that forked it ends."""
    _call("prctl", _SET_DEATH_SIGNAL, 9, 0, 0, 0)


def hide() -> None:
    """Keep other processes of the same user from reading or tracing this one."""
    _call("prctl", _SET_DUMPABLE, 0, 0, 0, 0)


def adopt() -> None:
    """Become the parent of descendants whose parents end."""
    _call("prctl", _SUBREAPER, 1, 0, 0, 0)


def give_up_privileges() -> None:
    """Gain no rights by any program from now on."""
    _call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def drop_capabilities() -> None:
    """Give up all capabilities."""
    _call("capset", struct.pack("II", _CAPABILITIES_3, 0), struct.pack("6I", 0, 0, 0, 0, 0, 0))


def filter_calls(program: bytes) -> None:
    """Install a seccomp filter: instructions of classic BPF."""
    import ctypes

    class Filter(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]

    _call("prctl", _SET_SECCOMP, 2, ctypes.byref(Filter(len(program) // 8, program)), 0, 0)


_CREATE_RULES, _ADD_RULE, _RESTRICT = 444, 445, 446
_READ, _WRITE = 0b1100, 0b10  # files and folders that may be read, files that may be written
_FILE = 0b110 | 1 << 14  # what a rule for a single file may say
_ACCESSES = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # number of kinds of access by version of the interface


def restrict_files(library: list[str], folder: str, devices: list[str]) -> None:
    """Refuse all files but a library (read), a folder (all) and devices (read, write), by Landlock."""
    version = _call("syscall", _CREATE_RULES, None, 0, 1)
    everything = (1 << _ACCESSES.get(version, 16)) - 1
    attributes = struct.pack("QQQ", everything, 0b11 if version >= 4 else 0, 0b11 if version >= 6 else 0)
    attributes = attributes[: 24 if version >= 6 else 16 if version >= 4 else 8]
    rules = _call("syscall", _CREATE_RULES, attributes, len(attributes), 0)
    allowed = [(path, _READ) for path in library] + [(folder, everything)]
    allowed += [(path, (_READ | _WRITE) & _FILE & everything) for path in devices]
    for path, access in allowed:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        _call("syscall", _ADD_RULE, rules, 1, struct.pack("=Qi", access, descriptor), 0)
        os.close(descriptor)
    _call("syscall", _RESTRICT, rules, 0)
    os.close(rules)
