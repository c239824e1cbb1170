"""Namespaces of the sandbox, and a root folder in which nothing lies but the standard library."""

import os
import sys

from pipestill.sandbox import kernel
from pipestill.sandbox.cell import DEVICES, library
from pipestill.sandbox.kernel import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_RDONLY, MS_REC, MS_REMOUNT

OTHERS = ("site-packages", "dist-packages")  # folders of third-party modules in the library


def leave(wanted: frozenset[str]) -> frozenset[str]:
    """Leave the machine's namespaces, as far as the kernel lets us; those that we left.

    The process namespace is that of processes forked from now on. ``furnish`` leaves that of mounts.
    """
    user, group = os.geteuid(), os.getegid()
    if user != 0:
        try:
            kernel.unshare(kernel.NAMESPACES["user"])
            for name, line in (
                ("setgroups", "deny"),
                ("uid_map", f"{user} {user} 1"),
                ("gid_map", f"{group} {group} 1"),
            ):
                with open(f"/proc/self/{name}", "w") as file:
                    file.write(line)
        except OSError:
            return frozenset()
    left = {"mounts"} & wanted
    for name in ("pids", "network", "ipc"):
        try:
            if name in wanted:
                kernel.unshare(kernel.NAMESPACES[name])
                left.add(name)
        except OSError:
            continue
    return frozenset(left)


def locked(path: str) -> int:
    """Flags of the mount of a path, which a user namespace may not take away."""
    flags = os.statvfs(path).f_flag
    pairs = ((os.ST_NOSUID, MS_NOSUID), (os.ST_NODEV, MS_NODEV), (os.ST_NOEXEC, MS_NOEXEC))
    return sum(flag for found, flag in pairs if flags & found) | (flags & (os.ST_NOATIME | os.ST_NODIRATIME))


def show(path: str, root: str) -> None:
    """Show a folder or file of the machine below a new root, at its own place."""
    target = root + path
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "w"):
            pass
    kernel.mount(path, target, flags=MS_BIND)


def furnish(root: str) -> None:
    """Leave the mounts, and make an empty folder the root: the standard library, devices and a scratch folder.

    Raises:
        OSError: the kernel refuses.
    """
    kernel.unshare(kernel.NAMESPACES["mounts"])
    kernel.mount("none", "/", flags=MS_REC | MS_PRIVATE)
    kernel.mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m")
    os.mkdir(f"{root}/tmp", 0o755)
    for path in library():
        show(path, root)
        kernel.mount("none", root + path, flags=MS_BIND | MS_REMOUNT | MS_RDONLY | locked(root + path))
        for name in OTHERS:
            if os.path.isdir(f"{path}/{name}"):
                kernel.mount("tmpfs", f"{root}{path}/{name}", "tmpfs", MS_NOSUID | MS_NODEV | MS_RDONLY, "mode=0755")
    for path in DEVICES:
        show(path, root)
    kernel.pivot(root)
    kernel.mount("none", "/", flags=MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV)
    sys.path[:] = [path for path in sys.path if os.path.isdir(path)]
