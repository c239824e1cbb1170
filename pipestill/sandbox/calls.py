"""The seccomp filter: which system calls the kernel refuses to a program."""

import errno
import platform
import struct
from functools import cache

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_COLUMN = {"x86_64": 0, "aarch64": 1}
# Numbers on x86_64 and aarch64 (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h of Linux).
_REFUSED = {
    **{"fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281)},
    **{"ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272)},
    **{"process_madvise": (440, 440), "process_mrelease": (448, 448), "tkill": (200, 130)},
    **{"rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "pidfd_send_signal": (424, 424)},
    **{"pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "socket": (41, 198), "socketpair": (53, 199)},
    **{"io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427)},
    **{"mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51)},
    **{"unshare": (272, 97), "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429)},
    **{"fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433)},
    **{"mount_setattr": (442, 442), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282)},
    **{"keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "personality": (135, 92)},
    **{"init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106)},
    **{"kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142)},
    **{"swapon": (167, 224), "swapoff": (168, 225), "sethostname": (170, 161), "setdomainname": (171, 162)},
    **{"settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266)},
    **{"acct": (163, 89), "syslog": (103, 116), "quotactl": (179, 60), "fanotify_init": (300, 262)},
    **{"name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265)},
    **{"memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "shmat": (30, 196)},
    **{"semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180), "iopl": (172, None), "ioperm": (173, None)},
}
_CLONE, _CLONE_3 = (56, 220), (435, 435)
_OF_ITSELF = {"kill": (62, 129), "tgkill": (234, 131), "prlimit64": (302, 261)}  # the first argument is a process
_CLONE_THREAD = 0x00010000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_REFUSE, _MISSING = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS


def _packed(steps: list[tuple[int, int, int, int]]) -> bytes:
    return b"".join(struct.pack("HBBI", *step) for step in steps)


@cache
def _of_all(machine: str) -> bytes:
    """Instructions that are the same for all processes."""
    if machine not in _ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no filter for {machine}")
    column, steps = _COLUMN[machine], []
    steps += [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, _ARCHITECTURES[machine]), (_RETURN, 0, 0, _KILL)]
    steps += [(_LOAD, 0, 0, _NUMBER)]
    if machine == "x86_64":  # calls with 32-bit pointers have other numbers
        steps += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _KILL)]
    for numbers in _REFUSED.values():
        if numbers[column] is not None:
            steps += [(_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, _REFUSE)]
    steps += [(_EQUAL, 0, 1, _CLONE_3[column]), (_RETURN, 0, 0, _MISSING)]
    argument = (_LOAD, 0, 0, _FIRST_ARGUMENT)
    steps += [(_EQUAL, 0, 4, _CLONE[column]), argument, (_ANY_BIT, 1, 0, _CLONE_THREAD)]
    steps += [(_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]
    return _packed(steps)


def program(process: int) -> bytes:
    """Instructions of the filter for the process of this number.

    New threads and signals to itself are allowed. ``clone3``, whose flags no filter can read, is reported as
    missing, on which C libraries fall back to ``clone``.

    Raises:
        OSError: the processor's calls are not known here.
    """
    machine, steps = platform.machine(), []
    fixed = _of_all(machine)
    argument = (_LOAD, 0, 0, _FIRST_ARGUMENT)
    for name, numbers in _OF_ITSELF.items():
        own = 0 if name == "prlimit64" else process
        steps += [(_EQUAL, 0, 5, numbers[_COLUMN[machine]]), argument, (_EQUAL, 2, 0, own), (_EQUAL, 1, 0, process)]
        steps += [(_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]
    steps += [(_RETURN, 0, 0, _ALLOW)]
    return fixed + _packed(steps)
