"""What one program may use."""

from dataclasses import dataclass

MB = 2**20


@dataclass(frozen=True)
class Limits:
    """Bounds on one program; its tests have the same ones in their own process.

    Attributes:
        cpu_seconds: Seconds of processor time.
        wall_seconds: Seconds until a program that waits is stopped; several times those of processor time, as waiting
            for a busy machine is no fault of a program.
        memory_mb: Address space, with that of the interpreter (about 60 MB), in MiB.
        file_mb: Size of a file, and of all files together where mounts are the sandbox's own, in MiB.
        output_kb: What a program may print, and the largest value that it may return, in KiB.
        threads: Threads at a time; other processes are never allowed.
    """

    cpu_seconds: int = 5
    wall_seconds: int = 50
    memory_mb: int = 512
    file_mb: int = 16
    output_kb: int = 1024
    threads: int = 16
